package controller

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Options are the parts that a Controller works with. All are required.
type Options struct {
	Units   Units
	Router  Router
	Sockets Sockets
	Prober  Prober
	Store   Store
	Log     *slog.Logger
	// Now is CLOCK_MONOTONIC, the clock of systemd's timestamps.
	Now func() time.Duration
	// Ready is called once, when the first plan has been carried out.
	Ready func()
}

// Controller owns the world and carries out its plans.
type Controller struct {
	Options
	world    world
	settings *settings
	saved    map[string]string // current units, as last saved for the next boot
	known    bool              // the first Resync has been taken in
	synced   bool              // the kernel's rules have been taken in after it
	dirty    bool              // the kernel's rules may not be what they should
	retry    retry             // of Apply

	results chan result
	nudges  chan struct{}
	pings   chan chan struct{}
	tasks   map[task]*running
	wait    sync.WaitGroup
}

// New returns a Controller that Run sets to work.
func New(o Options) *Controller {
	return &Controller{
		Options:  o,
		settings: newSettings(o.Log),
		results:  make(chan result),
		nudges:   make(chan struct{}, 1),
		pings:    make(chan chan struct{}),
		tasks:    map[task]*running{},
		world: world{
			Units:     map[string]Unit{},
			Prepared:  map[string]preparation{},
			Unhealthy: map[string]string{},
			Deaf:      map[string]bool{},
			Running:   map[task]bool{},
		},
	}
}

// RulesChanged says that another program may have changed the kernel's rules.
// It does not block.
func (c *Controller) RulesChanged() {
	select {
	case c.nudges <- struct{}{}:
	default: // one look is on its way already
	}
}

// Ping returns once the loop has turned, or ctx has ended.
func (c *Controller) Ping(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case c.pings <- done:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run keeps every public port where it belongs until ctx ends. The rules stay
// as they are when it returns.
func (c *Controller) Run(ctx context.Context, events <-chan Event) error {
	if err := c.load(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer c.wait.Wait()
	defer cancel()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			c.observe(e)
			c.more(events)
		case done := <-c.results:
			done(ctx)
		case <-c.nudges:
			c.dirty = true
		case done := <-c.pings:
			close(done)
			continue
		case <-timer.C:
		}
		if !c.synced && !c.sync(ctx) {
			if c.retry.at > 0 {
				timer.Reset(max(c.retry.at-c.Now(), time.Millisecond))
			}
			continue
		}
		next := c.turn(ctx)
		timer.Stop()
		if next > 0 {
			timer.Reset(max(next-c.Now(), time.Millisecond))
		}
		if c.Ready != nil {
			c.Ready()
			c.Ready = nil
		}
	}
}

// more takes in what else has happened, so that activations which became
// ready together are switched to in one commit.
func (c *Controller) more(events <-chan Event) {
	for {
		select {
		case e := <-events:
			c.observe(e)
		default:
			return
		}
	}
}

// turn plans and acts until nothing is left to do at once, and returns when to
// plan again, 0 for never.
func (c *Controller) turn(ctx context.Context) (next time.Duration) {
	for ctx.Err() == nil {
		c.refresh(ctx)
		actions := plan(&c.world)
		next = 0
		var moves []action
		again := false
		for _, a := range actions {
			switch a := a.(type) {
			case point, withdraw:
				moves = append(moves, a)
			case wake:
				next = earliest(next, a.At)
			default:
				again = c.act(ctx, a) || again
			}
		}
		if at := c.retry.at; at > c.Now() && (len(moves) > 0 || c.dirty) {
			next = earliest(next, at)
		} else if len(moves) > 0 || c.dirty {
			again = c.apply(ctx, moves) || again
			if c.retry.at > 0 {
				next = earliest(next, c.retry.at)
			}
		}
		if !again {
			break
		}
	}
	return next
}

// earliest returns the earlier of two times, of which 0 is none.
func earliest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// observe takes an event into the world.
func (c *Controller) observe(e Event) {
	w := &c.world
	switch e.Kind {
	case Resync:
		seen := map[string]bool{}
		for _, u := range e.Units {
			seen[u.Name] = true
			c.see(u)
		}
		for name := range w.Units {
			if !seen[name] {
				c.lose(name)
			}
		}
		c.known = true
		c.dirty = true // a reload is a good time to look at the rules, too
	case Changed:
		c.see(e.Unit)
	case Gone:
		c.lose(e.Name)
	}
}

// see takes in what was read of one unit.
func (c *Controller) see(u Unit) {
	was := c.world.Units[u.Name]
	c.world.Units[u.Name] = u
	c.settings.read(u)
	if u.Active == "failed" && was.Active != "failed" && u.ReadyAt < u.StartedAt {
		if in := c.settings.valid[u.Name]; in != nil {
			c.Log.Warn("not ready, and not switched to", "service", in.Service, "unit", u.Name,
				"result", u.Result, "current", c.currentUnit(in.Service))
		}
	}
}

func (c *Controller) lose(name string) {
	delete(c.world.Units, name)
	c.settings.drop(name)
}

func (c *Controller) currentUnit(service string) string {
	if svc := c.world.State.Services[service]; svc != nil {
		if cur := svc.serving(); cur != nil {
			return cur.Unit
		}
	}
	return "none"
}

// refresh brings the derived parts of the world up to date.
func (c *Controller) refresh(ctx context.Context) {
	w := &c.world
	w.Now = c.Now()
	w.Settings, w.Released = c.settings.effective(w.State, w.Units), c.settings.none
	c.rename()
	c.prune()
	if w.BootFinished == 0 {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		at, err := c.Units.BootFinished(ctx)
		if err != nil {
			c.Log.Warn("cannot tell whether the boot has ended", "error", err)
		}
		w.BootFinished = at
	}
}

// rename follows a Service= that was changed under a running current instance.
func (c *Controller) rename() {
	services := c.world.State.Services
	for name, svc := range services {
		if svc.serving() == nil {
			continue
		}
		in := c.world.Settings[svc.Current.Unit]
		if in == nil || in.Service == name || services[in.Service] != nil {
			continue
		}
		c.Log.Info("renamed", "service", in.Service, "before", name)
		services[in.Service] = svc
		delete(services, name)
		svc.Current.Instance.Service = in.Service
		for _, o := range svc.Old {
			o.Instance.Service = in.Service
		}
		c.dirty = true
	}
}

// prune drops what was known of activations that are no more.
func (c *Controller) prune() {
	w := &c.world
	alive := map[string]bool{}
	for _, u := range w.Units {
		alive[u.Invocation] = true
	}
	for name, svc := range w.State.Services {
		for id := range svc.Refused {
			if !alive[id] {
				delete(svc.Refused, id)
			}
		}
		if svc.Current == nil && len(svc.Old) == 0 && len(svc.Refused) == 0 {
			delete(w.State.Services, name)
		}
	}
	for id := range w.Prepared {
		if !alive[id] {
			delete(w.Prepared, id)
		}
	}
	for id := range w.Unhealthy {
		if !alive[id] {
			delete(w.Unhealthy, id)
		}
	}
	for id := range w.Deaf {
		if !alive[id] {
			delete(w.Deaf, id)
		}
	}
	for t := range c.tasks {
		if t.Kind == prepareTask && !alive[t.ID] {
			c.cancel(t.Kind, t.ID) // its candidate is gone
		}
	}
}

// load reads what an earlier daemon left.
func (c *Controller) load() error {
	state, err := c.Store.Load()
	if err != nil {
		// What it adds can be found again, if less exactly.
		c.Log.Warn("starting without the saved state", "error", err)
		state = State{}
	}
	if state.Services == nil {
		state.Services = map[string]*Service{}
	}
	c.world.State = &state
	c.saved, err = c.Store.LastCurrent()
	if err != nil {
		c.Log.Warn("not known what was current before the boot", "error", err)
	}
	c.world.LastCurrent = map[string]string{}
	for service, unit := range c.saved {
		c.world.LastCurrent[service] = unit
	}
	return nil
}

// save writes the State; the daemon goes on without, so an error is logged.
func (c *Controller) save() {
	if err := c.Store.Save(*c.world.State); err != nil {
		c.Log.Error("state not saved: a restart of the daemon may repeat or forget a step", "error", err)
	}
}

// saveCurrent records for the next boot what is current.
func (c *Controller) saveCurrent() {
	next := map[string]string{}
	changed := false
	for name, unit := range c.saved {
		next[name] = unit
	}
	for name, svc := range c.world.State.Services {
		if cur := svc.serving(); cur != nil && next[name] != cur.Unit {
			next[name] = cur.Unit
			changed = true
		}
	}
	if !changed {
		return
	}
	if err := c.Store.SaveCurrent(next); err != nil {
		c.Log.Error("current units not saved: the next boot may choose others", "error", err)
		return
	}
	c.saved = next
}
