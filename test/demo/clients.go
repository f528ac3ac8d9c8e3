package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

// Each of the two places has this many clients at work.
const (
	shortClients     = 4
	keepAliveClients = 2
	requests         = 100 // of a keep-alive connection
	// shortRate is of new connections a second: enough that a gap of some
	// milliseconds would show, and that the machine has time for the rest.
	shortRate = 250
)

// place is where clients are, and what they dial from there.
type place struct {
	guest   *host.Guest
	load    string // swload's path there
	targets []string
}

// clients are at work in two places, on another host and on the server's own.
// One goroutine may use it.
type clients struct {
	remotes []*load.Remote

	mu  sync.Mutex
	now map[string]*load.Result // the latest from each place
}

// sourcePorts are so many that none comes back while the demo runs: each
// connection is one of another client's, as far as the host can tell. They are
// none that the kernel hands out. (Ports that come back within seconds are what
// test/e2e is about.)
var sourcePorts = load.PortRange{First: 10_000, Last: 31_999}

// never is a connect too slow to be a loss: this machine may be a busy laptop.
// The slowest one is in the table.
const never = -1

// work puts clients on port 443, on another host and on the server's own, and
// returns when they have made connections for a second.
func work(ctx context.Context, network, local place) (*clients, error) {
	c := &clients{now: map[string]*load.Result{}}
	for _, at := range []place{network, local} {
		config := load.Config{
			Targets: at.targets, Duration: load.MaxDuration,
			Short: shortClients, Rate: shortRate, KeepAlive: keepAliveClients, Requests: requests, SourcePorts: sourcePorts,
			SlowConnect: never,
		}
		name := at.guest.Name()
		r, err := load.Start(ctx, at.guest, at.load, config, func(r *load.Result) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.now[name] = r
		})
		if err != nil {
			return nil, fmt.Errorf("put clients on %s: %w", name, err)
		}
		c.remotes = append(c.remotes, r)
	}
	for _, r := range c.remotes {
		if err := r.Running(ctx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// outside is the place on another host.
func (s *stage) outside() place {
	return place{s.client.Guest, s.load, targets(s.ipv6, host4, host6)}
}

// inside is the place on the server's own.
func (s *stage) inside() place {
	return place{s.host.Guest, loadOnHost, targets(s.ipv6, "127.0.0.1", host4, "::1", host6)}
}

// targets returns the public port at those addresses that there are.
func targets(ipv6 bool, hosts ...string) []string {
	var all []string
	for _, h := range hosts {
		if ipv6 || !strings.Contains(h, ":") {
			all = append(all, net.JoinHostPort(h, publicPort))
		}
	}
	return all
}

// soFar returns what all clients have seen until now.
func (c *clients) soFar() *load.Counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sum load.Result
	for _, r := range c.now {
		sum.Merge(r)
	}
	return sum.Total()
}

// stop ends all clients and returns what they saw: on another host, and on the
// server's own.
func (c *clients) stop() (network, local *load.Result, err error) {
	var results []*load.Result
	for _, r := range c.remotes {
		result, failed := r.Stop()
		results, err = append(results, result), errors.Join(err, failed)
	}
	if err != nil {
		return nil, nil, err
	}
	return results[0], results[1], nil
}

// stream is one long response on one connection.
type stream struct {
	lasts  time.Duration
	done   chan struct{}
	result *load.Result
	err    error
}

// openStream begins to read a stream. The server sends it at a steady rate, for
// as long as it lasts.
func openStream(ctx context.Context, at place, lasts time.Duration) (*stream, error) {
	r, err := load.Start(ctx, at.guest, at.load, load.Config{
		Targets: at.targets[:1], Streams: 1, StreamFor: lasts, Connections: 1, Duration: load.MaxDuration,
		SlowConnect: never,
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("open a stream: %w", err)
	}
	st := &stream{lasts: lasts, done: make(chan struct{})}
	go func() {
		defer close(st.done)
		st.result, st.err = r.Wait()
	}()
	if err := r.Running(ctx); err != nil {
		return nil, err
	}
	return st, nil
}

// ended says whether the stream is over.
func (s *stream) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// ask makes one new connection to the public port and returns the version that
// answers.
func ask(ctx context.Context, at place) (string, error) {
	out, err := at.guest.Run(ctx, at.load, "once", at.targets[0])
	return strings.TrimSpace(out), err
}
