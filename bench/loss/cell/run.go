package cell

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/contender"
	"github.com/switcheroo/switcheroo/bench/loss/judge"
	"github.com/switcheroo/switcheroo/test/load"
)

// Deadlines of one step each.
const (
	startTimeout  = time.Minute
	switchTimeout = 2 * time.Minute
	settleTimeout = 3 * time.Minute
)

// Run runs p and returns what was seen. If the contender fails on the way that
// is a cell with an Error; an error of Run's own means that nothing was seen.
func Run(ctx context.Context, p Plan) (*judge.Cell, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	began := time.Now()
	r := &run{Plan: p, services: p.services()}
	if err := r.open(ctx); err != nil {
		return nil, fmt.Errorf("%v: %w", p, err)
	}
	defer r.arena.Close()
	result, failed := r.play(ctx)
	if failed != nil && (result == nil || ctx.Err() != nil) {
		return nil, r.explain(fmt.Errorf("%v: %w", p, failed))
	}
	if p.Inspect != nil {
		if err := within(ctx, startTimeout, func(ctx context.Context) error { return p.Inspect(ctx, r.arena) }); err != nil {
			return nil, fmt.Errorf("%v: %w", p, err)
		}
	}
	if err := result.Valid(); err != nil {
		return nil, fmt.Errorf("%v: %w", p, err)
	}
	own := map[uint16][]load.Class{}
	for _, s := range r.services {
		own[s.Port] = s.Kind.Own
	}
	c := judge.New(r.switches, result, own)
	for _, s := range r.services {
		c.Servers = append(c.Servers, s.Kind.Name)
	}
	c.Contender, c.Ours, c.Seed, c.Date = p.Contender.Name(), p.Contender.Ours(), p.Seed, began.UTC().Truncate(time.Second)
	c.Kernel = r.grown
	if failed != nil {
		c.Error = r.explain(failed).Error()
	}
	return c, nil
}

// run is a Plan under way.
type run struct {
	Plan
	arena    *arena.Arena
	services []contender.Service

	mu       sync.Mutex
	switches []judge.Switch
	grown    map[string]int64
}

// open boots the host and starts the first versions. The caller closes the
// arena unless there is an error.
func (r *run) open(ctx context.Context) error {
	p, err := r.Contender.Prepare(r.services)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	r.arena, err = arena.Open(ctx, arena.Options{Files: p.Files, Binds: p.Binds, Sysctl: p.Sysctl, Units: p.Units})
	if err != nil {
		return err
	}
	for _, s := range r.services {
		if err := within(ctx, startTimeout, func(ctx context.Context) error {
			return r.Contender.Start(ctx, r.arena, s, 0)
		}); err != nil {
			return errors.Join(fmt.Errorf("start %s: %w", s.Name, err), r.arena.Close())
		}
	}
	return nil
}

// play starts the clients, switches all services side by side, and returns what
// the clients saw, also if the contender failed.
func (r *run) play(ctx context.Context) (*load.Result, error) {
	before, err := r.arena.Counters(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	loads, err := r.startLoad(ctx)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, r.Lead); err != nil {
		return nil, err
	}
	g, each := errgroup.WithContext(ctx)
	for i, s := range r.services {
		g.Go(func() error { return r.switchAll(each, s, rand.New(rand.NewPCG(r.Seed, uint64(i)))) })
	}
	failed := g.Wait()
	if err := pause(ctx, r.Tail); err != nil {
		return nil, errors.Join(failed, err)
	}
	var sum load.Result
	var errs []error
	for _, l := range loads {
		result, err := l.Stop()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		sum.Merge(result)
	}
	after, err := r.arena.Counters(ctx)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	r.grown = grown(before, after)
	return &sum, failed
}

// explainTimeout bounds a look at a host where something went wrong.
const explainTimeout = 30 * time.Second

// explain adds what the servers' host looks like to an error of the contender's:
// nothing of it is left when the arena is closed.
func (r *run) explain(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), explainTimeout)
	defer cancel()
	return fmt.Errorf("%w\n%s", err, r.arena.Host.Diagnose(ctx))
}

// startLoad starts the clients of every service and returns when all are at
// work.
func (r *run) startLoad(ctx context.Context) ([]*arena.Load, error) {
	var loads []*arena.Load
	for i, s := range r.services {
		c := s.Kind.Load
		c.Samples = r.Samples
		c.Seed = r.Seed + uint64(i) + 1
		if r.Adjust != nil {
			r.Adjust(&c)
		}
		l, err := r.arena.Load(ctx, c, s.Port)
		if err != nil {
			return nil, fmt.Errorf("clients of %s: %w", s.Name, err)
		}
		loads = append(loads, l)
	}
	for _, l := range loads {
		if err := l.Running(ctx); err != nil {
			return nil, err
		}
	}
	return loads, nil
}

// switchAll makes all the switches of one service, and returns when no older
// version of it is left.
func (r *run) switchAll(ctx context.Context, s contender.Service, random *rand.Rand) error {
	for version := 1; version <= r.Switches; version++ {
		// Exponential, as events that know nothing of one another are.
		rest := time.Duration(min(random.ExpFloat64(), 4) * float64(r.Rest))
		if err := pause(ctx, rest); err != nil {
			return err
		}
		var done judge.Switch
		err := within(ctx, switchTimeout, func(ctx context.Context) error {
			times, err := r.Contender.Switch(ctx, r.arena, s, version)
			if err != nil {
				return err
			}
			done = judge.Switch{Service: s.Name, Port: s.Port, Version: version, Began: times.Began, Moved: times.Moved}
			return nil
		})
		if err != nil {
			return fmt.Errorf("switch %s to v%d: %w", s.Name, version, err)
		}
		var settleErr error
		if r.Alone {
			if settleErr = r.settle(ctx, s); settleErr == nil {
				done.Over = time.Now()
			}
		}
		r.record(done)
		if settleErr != nil {
			return settleErr
		}
	}
	return r.settle(ctx, s)
}

// settle returns when no older version of s is left.
func (r *run) settle(ctx context.Context, s contender.Service) error {
	err := within(ctx, settleTimeout, func(ctx context.Context) error {
		return r.Contender.Settle(ctx, r.arena, s)
	})
	if err != nil {
		return fmt.Errorf("settle %s: %w", s.Name, err)
	}
	return nil
}

func (r *run) record(s judge.Switch) {
	r.mu.Lock()
	r.switches = append(r.switches, s)
	r.mu.Unlock()
	if r.Switched != nil {
		r.Switched(s)
	}
}

// grown returns the counters that are larger in after.
func grown(before, after map[string]int64) map[string]int64 {
	more := map[string]int64{}
	for name, n := range after {
		if d := n - before[name]; d > 0 {
			more[name] = d
		}
	}
	return more
}

func within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}

// pause returns ctx's error if it ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
