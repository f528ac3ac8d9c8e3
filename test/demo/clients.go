package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

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

// clients are at work in two places, on another host and on the server's own.
// One goroutine may use it.
type clients struct {
	stage   *stage
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

// work puts clients on port 443 and returns when they have made connections
// for a second.
func work(ctx context.Context, s *stage) (*clients, error) {
	c := &clients{stage: s, now: map[string]*load.Result{}}
	for _, at := range []struct {
		guest  load.Guest
		binary string
		hosts  []string
	}{
		{s.client, s.load, []string{host4, host6}},
		{s.host, loadOnHost, []string{"127.0.0.1", host4, "::1", host6}},
	} {
		config := load.Config{
			Targets: s.targets(at.hosts...), Duration: load.MaxDuration,
			Short: shortClients, Rate: shortRate, KeepAlive: keepAliveClients, Requests: requests, SourcePorts: sourcePorts,
			SlowConnect: never,
		}
		name := at.guest.Name()
		r, err := load.Start(ctx, at.guest, at.binary, config, func(r *load.Result) {
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

// targets returns the public port at those addresses that there are.
func (s *stage) targets(hosts ...string) []string {
	var all []string
	for _, h := range hosts {
		if s.ipv6 || !strings.Contains(h, ":") {
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

// openStream begins to read a stream from another host. The server sends it
// at a steady rate, for as long as it lasts.
func openStream(ctx context.Context, s *stage, lasts time.Duration) (*stream, error) {
	r, err := load.Start(ctx, s.client, s.load, load.Config{
		Targets: s.targets(host4), Streams: 1, StreamFor: lasts, Connections: 1, Duration: load.MaxDuration,
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

// ask makes one new connection to the public port from another host and
// returns the version that answers.
func ask(ctx context.Context, s *stage) (string, error) {
	out, err := s.client.Run(ctx, s.load, "once", s.targets(host4)[0])
	return strings.TrimSpace(out), err
}
