package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switcheroo/switcheroo/test/pulse"
)

// pause is what a client waits for after a failure, so that a server that is
// gone does not make it a busy loop.
const pause = 10 * time.Millisecond

// noticed is from when on it is told that the clients stood still.
const noticed = time.Second

// run is a Run under way.
type run struct {
	Config
	remotes []netip.AddrPort
	next    atomic.Int64 // remote
	left    atomic.Int64 // connections
	ports   ports
	tokens  chan struct{} // for a short connection each; nil: no need
	begin   time.Time
	clients []*client
	still   atomic.Int64 // see Result
}

// Run makes the load that c says, until ctx ends, c.Duration is over or
// c.Connections are made; clients then finish the request under way. Once a
// second, progress (if not nil) gets what was seen so far, without the details
// of failures. An error means that nothing was run.
func Run(ctx context.Context, c Config, progress func(*Result)) (*Result, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &run{Config: c, ports: newPorts(c.SourcePorts), begin: time.Now()}
	if r.remotes, err = c.resolve(ctx); err != nil {
		return nil, err
	}
	r.left.Store(c.Connections)
	ctx, cancel := context.WithTimeout(ctx, c.Duration)
	defer cancel()
	if c.Rate > 0 {
		r.tokens = make(chan struct{})
	}
	var clients, helpers sync.WaitGroup
	for _, k := range []struct {
		kind     Kind
		n        int
		requests int
		path     string
		check    func(*http.Response) error
	}{
		{Short, c.Short, 1, "/version", checkVersion},
		{KeepAlive, c.KeepAlive, c.Requests, "/version", checkVersion},
		{Stream, c.Streams, 1, "/stream?seconds=" + strconv.FormatFloat(c.StreamFor.Seconds(), 'f', -1, 64), checkStream(c.StreamFor)},
	} {
		for range k.n {
			cl := &client{run: r, kind: k.kind, requests: k.requests, path: k.path, check: k.check}
			r.clients = append(r.clients, cl)
			clients.Go(func() { cl.work(ctx) })
		}
	}
	if r.tokens != nil {
		helpers.Go(func() { r.meter(ctx) })
	}
	helpers.Go(func() {
		pulse.Watch(ctx, noticed, func(d time.Duration) { r.still.Store(max(r.still.Load(), int64(d))) })
	})
	done := make(chan struct{})
	if progress != nil {
		helpers.Go(func() { r.report(done, progress) })
	}
	clients.Wait()
	close(done)
	cancel()
	helpers.Wait()
	return r.result(true), nil
}

// meter hands out Rate tokens a second; what nobody took for a second is lost.
func (r *run) meter(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	begin, sent := time.Now(), 0
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		due := int(time.Since(begin).Seconds() * float64(r.Rate))
		sent = max(sent, due-r.Rate)
		for ; sent < due; sent++ {
			select {
			case r.tokens <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (r *run) report(done <-chan struct{}, progress func(*Result)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			progress(r.result(false))
		case <-done:
			return
		}
	}
}

// result returns what all clients saw so far.
func (r *run) result(details bool) *Result {
	all := &Result{Start: r.begin.UnixNano(), End: time.Now().UnixNano(), Still: r.still.Load()}
	for _, c := range r.clients {
		all.Merge(c.seen(details))
	}
	return all
}

// client makes one connection after the other.
type client struct {
	*run
	kind     Kind
	requests int
	path     string
	check    func(*http.Response) error

	mu       sync.Mutex
	counters Counters
	failures []Failure
	leftOut  int64
}

func (c *client) seen(details bool) *Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := &Counters{}
	own.Merge(&c.counters)
	r := &Result{Kinds: map[Kind]*Counters{c.kind: own}}
	if details {
		r.Failures, r.LeftOut = c.failures, c.leftOut
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

// connection makes one connection with its requests, and says whether nothing
// failed. When ctx ends it finishes the request under way.
func (c *client) connection(ctx context.Context) bool {
	remote := c.remotes[int(c.next.Add(1)-1)%len(c.remotes)]
	began := time.Now()
	f := Failure{Began: began.UnixNano(), Kind: c.kind, Phase: Connect, Remote: remote.String()}
	conn, port, err := c.dial(remote)
	// Once it is closed: a port is for one connection at a time.
	defer c.ports.put(port)
	c.mu.Lock()
	c.counters.Connections++
	c.mu.Unlock()
	if err != nil {
		f.Local = fmt.Sprintf(":%d", port)
		c.fail(f, classify(Connect, err), err)
		return false
	}
	defer conn.Close()
	f.Local = conn.LocalAddr().String()
	c.connected(conn, f)
	for n := 1; n <= c.requests; n++ {
		if n > 1 && ctx.Err() != nil {
			return true
		}
		begin := time.Now()
		err := conn.exchange(c.path, n == c.requests, c.check)
		if errors.Is(err, errOwnReset) {
			c.mu.Lock()
			c.counters.ServerResets++
			c.mu.Unlock()
			return true
		}
		if err != nil {
			f.Phase, f.Request, f.Version = conn.phase, n, conn.version
			c.fail(f, classify(conn.phase, err), err)
			return false
		}
		c.mu.Lock()
		c.counters.Requests++
		c.counters.served(conn.version, 1)
		c.counters.Answers.Add(time.Since(begin))
		c.mu.Unlock()
	}
	return true
}

// maxBusy is how many source ports in a row may be in use by others.
const maxBusy = 64

// dial connects from the next source port. One that is in use sends nothing,
// so to take another is no retry.
func (c *client) dial(remote netip.AddrPort) (*conn, uint16, error) {
	for busy := 0; ; busy++ {
		port := c.ports.take()
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
	c.mu.Lock()
	c.counters.Connects.Add(conn.connectTime)
	if conn.connectTime > c.SlowConnect && conn.retransmits == 0 {
		c.counters.SlowConnects++
	}
	c.mu.Unlock()
	if conn.retransmits > 0 {
		c.fail(f, Retransmitted, fmt.Errorf("%d retransmissions, connected after %v", conn.retransmits, conn.connectTime))
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
