package controller

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// verifyAgain is the pause between two looks at a unit that no event tells of.
const verifyAgain = 2 * time.Second

// observe takes an event into the world.
func (c *Controller) observe(e Event) {
	switch e.Kind {
	case Resync:
		missing := map[string]bool{}
		for name := range c.world.Units {
			missing[name] = true
		}
		for _, unit := range c.world.State.units() {
			missing[unit] = true
		}
		for _, u := range e.Units {
			delete(missing, u.Name)
			delete(c.doubts, u.Name)
			c.see(u)
		}
		for _, name := range sortedKeys(missing) {
			c.lose(name)
		}
		c.known = true
		c.dirty = true // a reload is a good time to look at the rules, too
	case Changed:
		delete(c.doubts, e.Unit.Name)
		c.see(e.Unit)
	case Gone:
		c.lose(e.Name)
	}
}

// sighting is how often a unit was seen anew, and when last.
type sighting struct {
	times uint64
	at    time.Duration
	begun string // the activation that was last seen to begin
}

// see takes in what was read of one unit.
func (c *Controller) see(u Unit) Unit {
	u = c.awaited(u)
	seen := c.sightings[u.Name]
	seen.times, seen.at = seen.times+1, c.Now()
	was := c.world.Units[u.Name]
	c.world.Units[u.Name] = u
	if u.up() != was.up() {
		c.settings.stale = true
	}
	c.settings.read(u, c.world.State)
	begun := !u.ended() && (u.starting() || u.running()) // a quick one is up when it is first seen
	if begun && u.Invocation != seen.begun && c.settings.valid[u.Name] != nil {
		seen.begun = u.Invocation
		if c.known || u.starting() { // what is up when the daemon starts has mostly been switched to
			c.Router.Anticipate()
		}
	}
	c.sightings[u.Name] = seen
	// Told once: systemd may go on trying.
	fails := (u.Active == "failed" || u.autoRestart()) && u.ReadyAt < u.StartedAt && u.Restarts == 0
	if fails && !(was.ended() && was.Invocation == u.Invocation) {
		if in := c.settings.valid[u.Name]; in != nil {
			c.announce(slog.LevelWarn, "not ready, and not switched to", News{Kind: NotReady, Service: in.Service, Unit: u.Name,
				Invocation: u.Invocation, Reason: u.Result, From: c.currentUnit(in.Service)},
				"service", in.Service, "unit", u.Name, "result", u.Result, "current", cmp.Or(c.currentUnit(in.Service), "none"))
		}
	}
	return u
}

// lose takes in that nothing tells of a unit any more: it is not loaded, or
// its section was removed. Of one that State relies on that is to be seen.
func (c *Controller) lose(name string) {
	u, known := c.world.Units[name]
	if (!known || !u.ended()) && c.world.State.activation(name) != nil {
		c.doubts[name] = 0
		return
	}
	c.drop(name)
}

func (c *Controller) drop(name string) {
	delete(c.world.Units, name)
	delete(c.doubts, name)
	delete(c.told, name)
	delete(c.sightings, name)
	c.settings.drop(name)
}

// verify asks systemd about the units in doubt, again and again while they
// run: no event will say when they end. It returns when to ask next, 0 for
// never. What was known of a unit holds until there is an answer.
func (c *Controller) verify(ctx context.Context) (next time.Duration) {
	if len(c.doubts) == 0 {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for _, name := range slices.Sorted(maps.Keys(c.doubts)) {
		a := c.world.State.activation(name)
		if a == nil {
			c.drop(name)
			continue
		}
		if at := c.doubts[name]; at > c.Now() {
			next = earliest(next, at)
			continue
		}
		u, err := c.Units.Status(ctx, name)
		_, known := c.world.Units[name]
		switch {
		case err == nil && u.gone():
			c.drop(name)
			continue
		case err == nil:
			c.see(u)
		case !known: // as State knew it
			c.world.Units[name] = Unit{Name: name, Invocation: a.ID, Active: "active", ReadyAt: a.ReadyAt}
			fallthrough
		default:
			c.Log.Warn("unit not read", "unit", name, "error", err)
		}
		c.doubts[name] = c.Now() + verifyAgain
		next = earliest(next, c.doubts[name])
	}
	return next
}

// reread brings one unit up to date. If systemd is away, what was seen last
// holds until it is back; ok is false if there is nothing.
func (c *Controller) reread(ctx context.Context, name string) (u Unit, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	old, known := c.world.Units[name]
	u, err := c.Units.Status(ctx, name)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			c.Log.Warn("unit not read again", "unit", name, "error", err)
		}
		return old, known
	}
	if !known && u.gone() {
		return u, true // nor will an event say when it is unloaded
	}
	if known {
		u.Files = old.Files // systemd has not loaded anything newer
	}
	return c.see(u), true
}

// currentUnit says what has the traffic of a service; "" if nothing has.
func (c *Controller) currentUnit(service string) string {
	if svc := c.world.State.Services[service]; svc != nil {
		if cur := svc.serving(); cur != nil {
			return cur.Unit
		}
	}
	return ""
}
