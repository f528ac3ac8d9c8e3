package controller

import (
	"context"
	"fmt"
	"maps"
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
// has changed. What a move relies on is read again under the lock, and once
// more after it; a move that is not fit any more is left out.
func (c *Controller) apply(ctx context.Context, moves []action) bool {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	began := c.Now()
	unlock, err := c.Router.Lock(ctx)
	if err != nil {
		c.retry.failed(c.Now())
		c.Log.Error("rules not changed", "error", err, "again_in", c.retry.pause)
		return false
	}
	c.retry.at = 0
	next := c.world.State.clone()
	var fit []action
	for _, a := range moves {
		if !c.fit(ctx, a) {
			continue
		}
		trial := next.clone()
		trial.move(a, c.Now())
		if err := trial.rules().Validate(); err != nil {
			c.impossible(next, a, err)
			continue
		}
		next = trial
		fit = append(fit, a)
	}
	change, err := c.Router.Apply(ctx, next.rules())
	unlock()
	if err != nil {
		c.retry.failed(c.Now())
		c.Log.Error("rules not changed", "error", err, "again_in", c.retry.pause)
		return len(fit) < len(moves)
	}
	repaired := c.dirty && len(fit) == 0 && change.Repaired
	c.dirty = false
	if c.retry.at == 0 {
		c.retry.pause = 0
	}
	if repaired {
		c.Log.Warn("rules repaired: another program had changed or flushed them")
	}
	before := c.world.State
	c.world.State = next
	c.save()
	c.saveCurrent()
	for _, a := range fit {
		c.moved(ctx, before, a, c.Now()-began)
	}
	return len(moves) > 0
}

// fit reads again what a relies on.
func (c *Controller) fit(ctx context.Context, a action) bool {
	if w, ok := a.(withdraw); ok {
		// A unit that is absent from the picture need not be gone.
		cur := c.world.State.Services[w.Service].Current
		u, ok := c.reread(ctx, cur.Unit)
		if !ok {
			c.retry.failed(c.Now())
		}
		return ok && (w.Release || u.Invocation != cur.ID || u.refusing())
	}
	p := a.(point)
	u, ok := c.reread(ctx, p.To.Unit)
	if !ok {
		c.retry.failed(c.Now())
		return false
	}
	if u.Invocation != p.To.ID || !u.running() {
		c.Log.Warn("not switched to: it ended meanwhile", "service", p.Service, "unit", p.To.Unit)
		return false
	}
	if p.Back && !c.listens(ctx, &p.To) {
		c.Log.Warn("not switched back to: it does not listen any more", "service", p.Service, "unit", p.To.Unit)
		c.world.Deaf[p.To.ID] = true
		return false
	}
	return true
}

// impossible notes in s that a would make rules that the kernel cannot hold:
// another service has the endpoint. It must not hold up the other moves.
func (c *Controller) impossible(s *State, a action, err error) {
	p, ok := a.(point)
	if !ok {
		c.Log.Error("rule not withdrawn", "error", err)
		return
	}
	svc := s.service(p.Service)
	if svc.Refused == nil {
		svc.Refused = map[string]Refusal{}
	}
	svc.Refused[p.To.ID] = Refusal{Unit: p.To.Unit, Reason: err.Error(), Asked: asked(&p.To.Instance)}
	c.Log.Error("not switched to", "service", p.Service, "unit", p.To.Unit, "reason", err)
}

// reread brings one unit up to date.
func (c *Controller) reread(ctx context.Context, name string) (Unit, bool) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	u, err := c.Units.Status(ctx, name)
	if err != nil {
		// systemd is away; what was seen last holds until it is back.
		c.Log.Warn("unit not read again", "unit", name, "error", err)
		u, ok := c.world.Units[name]
		return u, ok
	}
	if old, ok := c.world.Units[name]; ok {
		u.Files = old.Files // systemd has not loaded anything newer
	}
	c.see(u)
	return u, true
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

// moved tells of a move that was made, and looks at its unit once more.
func (c *Controller) moved(ctx context.Context, before *State, a action, took time.Duration) {
	switch a := a.(type) {
	case withdraw:
		if a.Release {
			c.Log.Info("released", "service", a.Service, "reason", a.Why)
			return
		}
		c.Log.Warn("current one is gone, and no other is running: connections are refused until one is ready",
			"service", a.Service, "reason", a.Why)
		// With nothing to serve it, whatever was refused gets another try.
		for id := range before.Services[a.Service].Refused {
			delete(c.world.Prepared, id)
		}
	case point:
		cur := &a.To
		from := "none"
		if svc := before.Services[a.Service]; svc != nil && svc.serving() != nil {
			from = svc.Current.Unit
		}
		message := "switched"
		if a.Back {
			message = "switched back"
		}
		c.Log.Info(message, "service", a.Service, "from", from, "to", cur.Unit,
			"port", describe(cur.Targets), "took", took.Round(10*time.Microsecond), "reason", a.Why)
		c.cancel(quiesceTask, cur.ID)
		c.cancel(drainTask, cur.ID)
		c.cancel(promoteTask, cur.ID)
		if svc := before.Services[a.Service]; svc == nil || svc.Current == nil {
			c.inspect(ctx, cur)
		}
		c.reread(ctx, cur.Unit)
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

// move makes the State what it is after a.
func (s *State) move(a action, now time.Duration) {
	switch a := a.(type) {
	case withdraw:
		svc := s.service(a.Service)
		svc.Down = true
		svc.Refused = nil
		if a.Release {
			svc.Current = nil
		}
	case point:
		svc := s.service(a.Service)
		cur := svc.serving()
		switch {
		case cur == nil || cur.ID == a.To.ID:
		case cur.Unit == a.To.Unit: // restarted: the earlier activation is no more
		default:
			svc.retire(*cur, a, now)
		}
		if svc.Current == nil {
			svc.ByBoot = a.ByBoot
		} else if svc.Current.ID != a.To.ID && !a.Back {
			svc.ByBoot = false
		}
		svc.Old = slices.DeleteFunc(svc.Old, func(o *Retired) bool { return o.ID == a.To.ID })
		to := a.To
		to.Since = now
		svc.Current, svc.Down = &to, false
		delete(svc.Refused, to.ID)
		svc.Crashed = slices.DeleteFunc(svc.Crashed, func(u string) bool { return u == to.Unit })
	}
}

// retire makes cur, which had the traffic until a, the newest of the old ones.
func (svc *Service) retire(cur Activation, a point, now time.Duration) {
	o := &Retired{Activation: cur}
	o.Since = now
	if a.Back {
		o.Rejected, o.Why = true, a.Why
	} else {
		o.StandbyUntil = now + a.To.Instance.Standby
	}
	svc.Old = slices.Insert(svc.Old, 0, o)
}

// clone returns a copy that can be changed without changing s.
func (s *State) clone() *State {
	next := &State{Services: make(map[string]*Service, len(s.Services))}
	for name, svc := range s.Services {
		n := *svc
		if svc.Current != nil {
			cur := *svc.Current
			n.Current = &cur
		}
		n.Old = make([]*Retired, len(svc.Old))
		for i, o := range svc.Old {
			old := *o
			n.Old[i] = &old
		}
		n.Refused = maps.Clone(svc.Refused)
		n.Crashed = slices.Clone(svc.Crashed)
		next.Services[name] = &n
	}
	return next
}
