package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// client makes one connection after the other.
type client struct {
	*run
	number uint64 // of the run's clients, from 0 on
	kind   Kind
	script script
	made   uint64 // connections

	mu       sync.Mutex
	counters Counters
	failures []Failure
	leftOut  int64
	samples  []sample
}

func (c *client) seen(details bool) *Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := &Counters{}
	own.Merge(&c.counters)
	r := &Result{Kinds: map[Kind]*Counters{c.kind: own}}
	if details {
		r.Failures, r.LeftOut = c.failures, c.leftOut
		r.Samples.add(c.kind, c.samples)
	}
	return r
}

func (c *client) work(ctx context.Context) {
	for ctx.Err() == nil {
		if c.kind == Short && c.tokens != nil {
			select {
			case <-c.tokens:
			case <-ctx.Done():
				return
			}
		}
		if c.left.Add(-1) < 0 {
			return
		}
		if c.connection(ctx) {
			continue
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
}

// connection makes one connection and runs the script on it, and says whether
// nothing failed. When ctx ends it finishes the request under way.
func (c *client) connection(ctx context.Context) bool {
	remote := c.remotes[int(c.next.Add(1)-1)%len(c.remotes)]
	f := Failure{Began: time.Now().UnixNano(), Kind: c.kind, Phase: Connect, Remote: remote.String()}
	conn, port, err := c.dial(remote)
	if port != 0 {
		// Once it is closed: a port is for one connection at a time.
		defer c.ports.put(port)
	}
	c.mu.Lock()
	c.counters.Connections++
	c.mu.Unlock()
	if err != nil {
		f.Local = fmt.Sprintf(":%d", port)
		c.fail(f, classify(Connect, err), err)
		return false
	}
	defer conn.release()
	f.Connected, f.Local = conn.connected.UnixNano(), conn.LocalAddr().String()
	c.connected(conn, f)
	t := &talk{conn: conn, client: c, rng: rand.New(rand.NewPCG(c.Seed, c.number<<32|c.made))}
	c.made++
	err = c.script(ctx, t)
	if err == nil {
		return true
	}
	if err = conn.cause(err); isEnd(err) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case errors.Is(err, errOwnReset):
			c.counters.ServerResets++
		case errors.Is(err, errIdleClose):
			c.counters.IdleCloses++
		}
		return true
	}
	f.Phase, f.Request, f.Version = conn.phase, t.request, conn.version
	c.fail(f, classify(conn.phase, err), err)
	return false
}

// maxBusy is how many source ports in a row may be in use by others.
const maxBusy = 64

// dial connects from the next source port. One that is in use sends nothing,
// so to take another is no retry.
func (c *client) dial(remote netip.AddrPort) (*conn, uint16, error) {
	for busy := 0; ; busy++ {
		port := uint16(0)
		if c.kind != HTTP2 {
			port = c.ports.take()
		}
		conn, err := dial(remote, port, c.Timeout)
		if port == 0 || err == nil || !isPortBusy(err) || busy == maxBusy {
			return conn, port, err
		}
		c.ports.put(port)
		c.mu.Lock()
		c.counters.BusyPorts++
		c.mu.Unlock()
	}
}

// connected judges how the connection came about.
func (c *client) connected(conn *conn, f Failure) {
	took := conn.connectTime()
	c.mu.Lock()
	c.counters.Connects.Add(took)
	c.mu.Unlock()
	switch {
	case conn.retransmits > 0:
		c.fail(f, Retransmitted, fmt.Errorf("%d retransmissions, connected after %v", conn.retransmits, took))
	// A client on a busy machine may learn of it late.
	case c.SlowConnect >= 0 && conn.handshake > c.SlowConnect:
		c.fail(f, SlowConnect, fmt.Errorf("the SYN was answered after %v, connected after %v", conn.handshake, took))
	}
}

func (c *client) fail(f Failure, class Class, err error) {
	f.Time, f.Class, f.Message = time.Now().UnixNano(), class, err.Error()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counters.count(class, 1)
	if len(c.failures) == maxDetails {
		c.leftOut++
		return
	}
	c.failures = append(c.failures, f)
}
