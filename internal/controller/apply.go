package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

const (
	callTimeout  = 5 * time.Second  // of one call to systemd
	applyTimeout = 15 * time.Second // of the lock and the rules together
)

// retry spaces out attempts that failed.
type retry struct {
	at    time.Duration // not before; 0: at once
	pause time.Duration
}

func (r *retry) failed(now time.Duration) {
	r.pause = min(max(2*r.pause, 100*time.Millisecond), 5*time.Second)
	r.at = now + r.pause
}

// apply moves the rules as planned, all at once, and reports whether the world
// has changed. What a move relies on has been read a moment ago, or is read again
// under the lock, and after a way back once more; a move that is not fit any more
// is left out.
func (c *Controller) apply(ctx context.Context, moves []move) (changed bool) {
	// What has begun is finished, also when the daemon is told to end: the two
	// families would disagree for as long as it is down.
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
	defer cancel()
	began := c.Now()
	c.block(nil)
	unlock, err := c.Router.Lock(limited)
	if err != nil {
		c.failed(err)
		return false
	}
	c.retry.at = 0
	next, fit := c.admit(limited, moves)
	for _, a := range fit {
		if p, ok := a.(point); ok {
			n := about(Switching, p.Service, &p.To)
			n.Message, n.From, n.Reason = "switching", c.currentUnit(p.Service), p.Why
			c.publish(n)
		}
	}
	if c.Router.Touched(limited) {
		c.foreign = true // so that what comes after this is ours
	}
	rules := next.rules()
	rules.Unhurried = c.givesWay(fit)
	change, err := c.Router.Apply(limited, rules)
	unlock()
	if err != nil {
		c.failed(err)
		c.dirty = true // one family may hold what was asked for, and the other not
		return len(fit) < len(moves)
	}
	c.blocked.Store(nil)
	if c.retry.at == 0 {
		c.retry.pause, c.failure = 0, ""
	}
	if c.dirty && len(fit) == 0 && change.Repaired {
		c.announce(slog.LevelWarn, "rules repaired: another program had changed or flushed them", News{Kind: Repaired})
	}
	before := c.world.State
	c.world.State = next
	c.dirty = false
	if len(moves) > 0 {
		c.unsaved = true
		c.settings.stale = true
		c.save()
	}
	took := c.Now() - began
	again, cancelAgain := context.WithTimeout(ctx, callTimeout) // for all of them together
	defer cancelAgain()
	for _, a := range fit {
		c.moved(ctx, again, before, a, took)
	}
	c.saveCurrent()
	if c.foreign {
		c.foreign = false
		c.inspect(ctx, inspectPause)
	}
	return len(moves) > 0
}

// failedAgain is after how long an error that lasts is logged again.
const failedAgain = time.Minute

// failed makes apply try again, and says why.
func (c *Controller) failed(err error) {
	c.retry.failed(c.Now())
	c.block(err)
	if c.failure == err.Error() && c.Now() < c.failedAt+failedAgain {
		return
	}
	c.failure, c.failedAt = err.Error(), c.Now()
	args := []any{"error", err}
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		args = append(args, "hint", hinted.Hint())
	}
	c.announce(slog.LevelError, "rules not changed, trying again", News{Kind: RulesFailed, Reason: c.failure}, args...)
}

// admit returns the moves that are fit, and the State after them.
func (c *Controller) admit(ctx context.Context, moves []move) (*State, []move) {
	// systemd being away must not use up the time for the rules.
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	before := c.world.State
	now := c.Now()
	next := before.clone()
	var fit []move
	for _, a := range moves {
		if c.fit(ctx, a) {
			next.move(a, now)
			fit = append(fit, a)
		}
	}
	if next.rules().Validate() == nil {
		return next, fit
	}
	// An endpoint is another service's. That must not hold up the other moves.
	next = before.clone()
	fit = slices.DeleteFunc(fit, func(a move) bool {
		trial := next.clone()
		trial.move(a, now)
		if err := trial.rules().Validate(); err != nil {
			c.impossible(next, a, err)
			return true
		}
		next = trial
		return false
	})
	return next, fit
}

// fit reports whether what a relies on is so. It reads what may be old.
func (c *Controller) fit(ctx context.Context, a move) bool {
	switch a := a.(type) {
	case withdraw:
		// A unit that is absent from the picture need not be gone.
		cur := c.world.State.Services[a.Service].Current
		u, ok := c.reread(ctx, cur.Unit)
		if !ok {
			c.retry.failed(c.Now())
			return false
		}
		if !a.Release && c.world.waits(c.world.State.Services[a.Service], cur, u) {
			return false // its restart is on its way after all
		}
		return a.Release || u.Invocation != cur.ID || u.refusing()
	case point:
		u, ok := c.recent(ctx, a)
		if !ok {
			c.retry.failed(c.Now())
			return false
		}
		if u.Invocation != a.To.ID || !u.running() {
			n := about(Refused, a.Service, &a.To)
			n.Reason = "it ended meanwhile"
			c.announce(slog.LevelWarn, "not switched to: it ended meanwhile", n, "service", a.Service, "unit", a.To.Unit)
			return false
		}
		if a.Back && !c.listens(ctx, &a.To) {
			n := about(Trouble, a.Service, &a.To)
			n.Reason = "it does not listen any more"
			c.announce(slog.LevelWarn, "not switched back to: it does not listen any more", n, "service", a.Service, "unit", a.To.Unit)
			c.world.Deaf[a.To.ID] = true
			return false
		}
	}
	return true
}

// freshFor is how long what was seen of a candidate is good enough to switch to it:
// longer than a lull and its probe take. To ask systemd keeps three processes busy, for
// milliseconds, just when the servers of the host get a new one beside them; and
// the end of a candidate comes as an event.
const freshFor = 250 * time.Millisecond

// recent returns the target of a move as it is now, or has been a moment ago, if
// nothing has been told since. A way back has to be right at the first try, and
// events may be late: its target is one that may have been told to stop.
func (c *Controller) recent(ctx context.Context, a point) (u Unit, ok bool) {
	u, known := c.world.Units[a.To.Unit]
	if known && !a.Back && len(c.events) == 0 && c.Now()-c.sightings[a.To.Unit].at < freshFor {
		return u, true
	}
	return c.reread(ctx, a.To.Unit)
}

// impossible notes in s that a would make rules that the kernel cannot hold.
func (c *Controller) impossible(s *State, a move, err error) {
	p, ok := a.(point)
	if !ok {
		c.Log.Error("rule not withdrawn", "error", err) // State was valid before
		return
	}
	r := Refusal{Unit: p.To.Unit, Reason: err.Error(), Asked: p.To.Instance, At: c.world.Now, Passing: true}
	c.tellRefusal(p.Service, p.To.ID, r, s.service(p.Service).refuse(p.To.ID, r))
}

// listens reports whether every private port of a still has a listener.
func (c *Controller) listens(ctx context.Context, a *Activation) bool {
	ls, err := c.Units.Listeners(ctx, Unit{})
	if err != nil {
		c.Log.Warn("listeners not read", "unit", a.Unit, "error", err)
		return true // the worse mistake would be to leave the port on a dead one
	}
	ports := distinctPorts(ls)
	for _, p := range a.ports() {
		if _, ok := slices.BinarySearch(ports, p); !ok {
			return false
		}
	}
	return true
}

// moved tells of a move that was made. At a unit that was gone back to it looks
// once more, before again ends.
func (c *Controller) moved(ctx, again context.Context, before *State, a move, took time.Duration) {
	was := before.Services[a.service()]
	switch a := a.(type) {
	case withdraw:
		if a.Release {
			n := about(Released, a.Service, was.Current)
			n.Reason = a.Why
			c.announce(slog.LevelInfo, "released", n, "service", a.Service, "unit", was.Current.Unit, "reason", a.Why)
			return
		}
		n := about(Withdrawn, a.Service, was.Current)
		n.From, n.Reason, n.Took = was.Current.Unit, a.Why, took
		message := "current one is gone, and no other is running: connections are refused until one is ready"
		if was.Pause != nil {
			message = "current one is gone, and no other is running: connections wait while the service is paused"
		}
		c.announce(slog.LevelWarn, message, n,
			"service", a.Service, "unit", was.Current.Unit, "reason", a.Why)
		for id := range was.Refused {
			delete(c.world.Prepared, id)
		}
	case point:
		cur := &a.To
		n := about(Switched, a.Service, cur)
		n.Reason, n.Took = a.Why, took
		if was != nil && was.serving() != nil {
			n.From = was.Current.Unit
			c.cancel(watchTask, was.Current.ID)
		}
		message := "switched"
		if a.Back {
			message, n.Kind = "switched back", SwitchedBack
		}
		c.announce(slog.LevelInfo, message, n, "service", a.Service, "from", cmp.Or(n.From, "none"), "to", cur.Unit,
			"port", describe(cur.Targets), "took", took.Round(10*time.Microsecond), "reason", a.Why)
		for _, kind := range seeOut {
			c.cancel(kind, cur.ID)
		}
		delete(c.world.LastCurrent, a.Service)
		delete(c.told, cur.Unit)
		if !c.inspections.done[a.Service] {
			c.inspect(ctx, 0)
		}
		if a.Back {
			c.reread(again, cur.Unit)
		}
	}
}

// describe renders targets as public->private ports.
func describe(targets []nat.Target) string {
	var s string
	for i, t := range targets {
		if i > 0 {
			s += " "
		}
		s += fmt.Sprintf("%s->%d", t.Endpoint, t.Port)
	}
	return s
}
