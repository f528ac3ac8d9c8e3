package load

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// pause is what a client waits for after a failure, so that a server that is
// gone does not make it a busy loop.
const pause = 10 * time.Millisecond

// run is a Run under way.
type run struct {
	Config
	remotes []netip.AddrPort
	next    atomic.Int64 // remote
	left    atomic.Int64 // connections
	ports   ports
	tokens  chan struct{}                  // for a short connection each; nil: no need
	between func(*rand.Rand) time.Duration // how long the next pause is
	begin   time.Time
	clients []*client
	stalls  stalls
}

// Run makes the load that c says, until ctx ends, c.Duration is over or
// c.Connections are made; clients then finish the request under way. Once a
// second, progress (if not nil) gets what was seen so far, without the details
// of failures. An error means that nothing was run.
func Run(ctx context.Context, c Config, progress func(*Result)) (*Result, error) {
	r, err := newRun(ctx, c)
	if err != nil {
		return nil, err
	}
	return r.run(ctx, progress), nil
}

func newRun(ctx context.Context, c Config) (*run, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if c.Seed == 0 {
		c.Seed = uint64(time.Now().UnixNano())
	}
	r := &run{Config: c, ports: newPorts(c.SourcePorts)}
	r.between = func(rng *rand.Rand) time.Duration {
		return time.Duration(min(rng.ExpFloat64(), 10) * float64(c.Pause))
	}
	r.remotes, err = c.resolve(ctx)
	return r, err
}

func (r *run) run(ctx context.Context, progress func(*Result)) *Result {
	r.begin = time.Now()
	r.left.Store(r.Connections)
	ctx, cancel := context.WithTimeout(ctx, r.Duration)
	defer cancel()
	if r.Rate > 0 {
		r.tokens = make(chan struct{})
	}
	var clients, helpers sync.WaitGroup
	for _, k := range r.scripts() {
		for range k.n {
			cl := &client{run: r, number: uint64(len(r.clients)), kind: k.kind, script: k.script}
			r.clients = append(r.clients, cl)
			clients.Go(func() { cl.work(ctx) })
		}
	}
	if r.tokens != nil {
		helpers.Go(func() { r.meter(ctx) })
	}
	helpers.Go(func() { r.stalls.watch(ctx) })
	done := make(chan struct{})
	if progress != nil {
		helpers.Go(func() { r.report(done, progress) })
	}
	clients.Wait()
	close(done)
	cancel()
	helpers.Wait()
	return r.result(true)
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
	all := &Result{Start: r.begin.UnixNano(), End: time.Now().UnixNano(), Seed: r.Seed, Stalls: r.stalls.all()}
	for _, c := range r.clients {
		all.Merge(c.seen(details))
	}
	return all
}
