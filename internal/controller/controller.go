package controller

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
)

// Options are the parts that a Controller works with. All but Gate, Busy, Ready,
// Tell, Keeper and PrivatePorts are required.
type Options struct {
	Units   Units
	Router  Router
	Sockets Sockets
	Prober  Prober
	Store   Store
	Gate    Gate // without it nothing can be paused
	// Keeper is optional: without it no port is reserved.
	Keeper Keeper
	Log    *slog.Logger
	// PrivatePorts are those to reserve; by default config.DefaultPrivatePorts.
	PrivatePorts config.PortRange
	// Now is CLOCK_MONOTONIC, the clock of systemd's timestamps.
	Now func() time.Duration
	// Busy reports whether the host's processors have little time to spare; nil:
	// never.
	Busy func() bool
	// Ready is called once, when the first plan has been carried out.
	Ready func()
	// Tell is called with all news, by the goroutine that decides: it must
	// not wait for anything.
	Tell func(News)
}

// Controller owns the world and carries out its plans.
type Controller struct {
	Options
	// Feed has what happened last.
	Feed *Feed

	world           world
	settings        *settings
	known           bool          // the first Resync has been taken in
	synced          bool          // the kernel's rules have been taken in after it
	dirty           bool          // the kernel's rules may not be what they should
	foreign         bool          // another program has changed rules
	retry           retry         // of what needs the lock
	failure         string        // of apply, as last logged
	failedAt        time.Duration // when that was
	unsaved         bool          // State is not what the Store has
	unsaying        bool          // and that it could not be saved has been told
	unsayingCurrent bool
	current         map[string]string        // current units, as the Store has them for the next boot
	doubts          map[string]time.Duration // units to ask systemd about, and when; see verify
	told            map[string]string        // why a unit was refused, as last logged

	sightings map[string]sighting // of each unit
	ports     config.PortRange    // to reserve

	inspections inspections
	view        atomic.Pointer[View]     // nil once something may have changed
	blocked     atomic.Pointer[blockage] // nil if the rules are as they should be

	events  <-chan Event // nil once closed
	results chan result
	nudges  chan struct{}
	hints   chan struct{}
	asks    chan ask
	tasks   map[task]*running
	wait    sync.WaitGroup
}

// New returns a Controller that Run sets to work.
func New(o Options) *Controller {
	c := &Controller{
		Options:   o,
		Feed:      NewFeed(time.Now()),
		world:     newWorld(),
		doubts:    map[string]time.Duration{},
		told:      map[string]string{},
		sightings: map[string]sighting{},
		ports:     cmp.Or(o.PrivatePorts, config.DefaultPrivatePorts),

		inspections: inspections{done: map[string]bool{}},
		results:     make(chan result),
		nudges:      make(chan struct{}, 1),
		hints:       make(chan struct{}, 1),
		asks:        make(chan ask),
		tasks:       map[task]*running{},
	}
	if c.Keeper == nil {
		c.Keeper = noKeeper{}
	}
	c.settings = newSettings(o.Log, c.announce)
	return c
}

// RulesChanged says that another program may have changed the kernel's rules.
// It does not block.
func (c *Controller) RulesChanged() {
	select {
	case c.nudges <- struct{}{}:
	default: // one look is on its way already
	}
}

// RulesCommitted says that somebody has changed the kernel's rules, this process
// perhaps. It does not block.
func (c *Controller) RulesCommitted() {
	select {
	case c.hints <- struct{}{}:
	default:
	}
}

// Run keeps every public port where it belongs until ctx ends. The rules stay
// as they are when it returns. The first event has to be a Resync; until then
// nothing is touched.
func (c *Controller) Run(ctx context.Context, events <-chan Event) error {
	c.events = events
	c.load()
	ctx, cancel := context.WithCancel(ctx)
	defer c.wait.Wait()
	defer cancel()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, open := <-c.events:
			if !open {
				c.events = nil
				continue
			}
			c.observe(e)
			c.more(ctx)
		case done := <-c.results:
			done(ctx)
			c.more(ctx)
		case <-c.nudges:
			c.dirty, c.foreign = true, true
		case <-c.hints:
			if !c.Router.Touched(ctx) {
				continue // it was our last Apply
			}
			c.dirty, c.foreign = true, true
		case a := <-c.asks:
			if !a(ctx) {
				continue
			}
		case <-timer.C:
		}
		var next time.Duration
		if c.synced || c.sync(ctx) {
			next = c.turn(ctx)
			if c.Ready != nil && ctx.Err() == nil {
				c.Ready()
				c.Ready = nil
			}
		} else {
			next = c.retry.at
		}
		c.stale()
		timer.Stop()
		if next > 0 {
			timer.Reset(max(next-c.Now(), time.Millisecond))
		}
	}
}

// more takes in what else has happened, so that activations which became
// ready together, or while a commit was under way, are switched to in one.
func (c *Controller) more(ctx context.Context) {
	for {
		select {
		case e, open := <-c.events:
			if !open {
				return
			}
			c.observe(e)
		case done := <-c.results:
			done(ctx)
		default:
			return
		}
	}
}

// maxRounds is far more than any plan needs to settle. One that does not is a
// bug, which must neither take the processor nor keep events out.
const maxRounds = 100

// turn plans and acts until nothing is left to do at once, and returns when to
// plan again, 0 for never. Every round but the last has changed the world.
func (c *Controller) turn(ctx context.Context) (next time.Duration) {
	for range maxRounds {
		if ctx.Err() != nil {
			return 0
		}
		next = c.refresh(ctx)
		// What the round before decided is on disk before this one acts on it.
		next = earliest(next, c.save())
		var moves []move
		again := false
		for _, a := range plan(&c.world) {
			switch a := a.(type) {
			case move:
				moves = append(moves, a)
			case wake:
				next = earliest(next, a.At)
			default:
				again = c.act(ctx, a) || again
			}
		}
		if len(moves) > 0 || c.dirty {
			if c.Now() >= c.retry.at {
				again = c.apply(ctx, moves) || again
			}
			next = earliest(next, c.retry.at)
		}
		if !again {
			return next
		}
	}
	c.Log.Error("the plan does not settle: this is a bug, please report it")
	return c.Now() + time.Second
}

// earliest returns the earlier of two times, of which 0 is none.
func earliest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
