package controller

import (
	"cmp"
	"context"
	"log/slog"
	"time"
)

// act carries out what moves no rule, or starts it, and reports whether the
// world has changed.
func (c *Controller) act(ctx context.Context, a action) (changed bool) {
	switch a := a.(type) {
	case refuse:
		c.refuse(a)
	case supersede:
		c.supersede(a)
	case adopt:
		c.adopt(a)
	case dismiss:
		c.dismiss(a)
	case end:
		c.end(ctx, a)
	case forget:
		c.forget(a)
	case prepare:
		c.publish(News{Kind: Probing, Message: "looked at", Service: a.Instance.Service, Unit: a.Unit.Name, Invocation: a.Unit.Invocation})
		t := task{prepareTask, a.Unit.Invocation}
		c.start(ctx, t, c.prepareGently(a))
		c.tasks[t].unit = a.Unit.Name
		return false
	case quiesce:
		c.start(ctx, task{quiesceTask, a.Old.ID}, func(ctx context.Context) result { return c.quiesce(ctx, a) })
		return false
	case watch:
		delete(c.world.Unhealthy, a.Current.ID) // it is judged anew
		c.start(ctx, task{watchTask, a.Current.ID}, func(ctx context.Context) result { return c.watch(ctx, a) })
		return false
	case promote:
		c.start(ctx, task{promoteTask, a.Old.ID}, func(ctx context.Context) result { return c.promote(ctx, a) })
		return false
	case drain:
		n := about(DrainBegan, a.Service, &a.Old.Activation)
		n.Message = "draining"
		c.publish(n)
		c.start(ctx, task{drainTask, a.Old.ID}, func(ctx context.Context) result { return c.drain(ctx, a) })
		return false
	case stop:
		c.start(ctx, task{stopTask, a.Old.ID}, func(ctx context.Context) result { return c.stop(ctx, a) })
		return false
	case disuse:
		c.giveUp(a.Unit)
	case unreserve:
		r := *c.world.State.Reserved[a.Unit].clone()
		c.start(ctx, task{unreserveTask, a.Unit}, func(ctx context.Context) result { return c.unreserve(ctx, a, r) })
		return false
	case release:
		c.start(ctx, task{releaseTask, a.Service}, func(ctx context.Context) result { return c.release(ctx, a) })
		return false
	case reset:
		n := about(Trouble, a.Service, &a.Old.Activation)
		n.Reason = a.Unit.Result
		c.announce(slog.LevelWarn, "old one stopped, but not cleanly", n, "service", a.Service, "unit", a.Old.Unit, "result", a.Unit.Result)
		c.start(ctx, task{resetTask, a.Old.ID}, func(ctx context.Context) result { return c.reset(ctx, a) })
		return false
	}
	c.unsaved = true
	return true
}

func (c *Controller) refuse(a refuse) {
	r := Refusal{Unit: a.Unit, Reason: a.Reason, Asked: a.Asked, At: c.world.Now, Passing: a.Passing}
	c.tellRefusal(a.Service, a.ID, r, c.world.State.service(a.Service).refuse(a.ID, r))
}

// tellRefusal logs a refusal, but not what the same activation, or one that
// systemd restarts again and again, was refused for before.
func (c *Controller) tellRefusal(service, id string, r, before Refusal) {
	known := before.Reason == r.Reason && same(&before.Asked, &r.Asked) ||
		c.told[r.Unit] == r.Reason && c.world.Units[r.Unit].Restarts > 0
	c.told[r.Unit] = r.Reason
	if known {
		return
	}
	message := "not switched to"
	if svc := c.world.State.Services[service]; svc != nil && svc.serving() != nil && svc.Current.ID == id {
		message = "changed settings not taken over"
	}
	c.announce(slog.LevelWarn, message, News{Kind: Refused, Service: service, Unit: r.Unit, Invocation: id, Reason: r.Reason, From: c.currentUnit(service)},
		"service", service, "unit", r.Unit, "reason", r.Reason, "current", cmp.Or(c.currentUnit(service), "none"))
}

func (c *Controller) supersede(a supersede) {
	svc := c.world.State.service(a.Service)
	o := &Retired{Activation: a.Activation}
	o.Since = c.world.Now
	o.StandbyUntil = o.Since + svc.Current.Instance.Standby
	svc.retire(o)
	delete(svc.Refused, o.ID)
	c.dirty = true // its private port is guarded from now on
	n := about(Superseded, a.Service, &o.Activation)
	n.Reason = a.Why
	c.announce(slog.LevelInfo, "not switched to, and seen out", n, "service", a.Service, "unit", o.Unit, "reason", a.Why)
}

func (c *Controller) adopt(a adopt) {
	cur := c.world.State.service(a.Service).Current
	if !same(&cur.Instance, &a.Instance) {
		c.announce(slog.LevelInfo, "settings changed", about(Adopted, a.Service, cur), "service", a.Service, "unit", a.Instance.Unit)
	}
	cur.Instance, cur.Found = a.Instance, false
	c.settings.stale = true
	c.dirty = true // Guard= may have changed
}

// dismiss is saved before it is acted on: see turn.
func (c *Controller) dismiss(a dismiss) {
	o := c.world.State.service(a.Service).old(a.ID)
	o.Stopping = true
	c.announce(slog.LevelInfo, "stopping", about(StopBegan, a.Service, &o.Activation), "service", a.Service, "unit", o.Unit)
}

// seeOut are the kinds of tasks that see an old activation out.
var seeOut = []taskKind{quiesceTask, promoteTask, drainTask}

func (c *Controller) end(ctx context.Context, a end) {
	o := c.oldOf(a.ID)
	if o == nil {
		return
	}
	o.Ended = true
	c.cancel(quiesceTask, a.ID)
	c.cancel(drainTask, a.ID)
	c.dirty = true // its private port is guarded no longer
	c.unsaved = true
	c.clear(ctx, o)
	n := about(Ended, a.Service, &o.Activation)
	n.Took = c.Now() - o.Since
	if o.Stopping {
		n.Kind = Stopped
		c.announce(slog.LevelInfo, "stopped", n, "service", a.Service, "unit", o.Unit, "after", n.Took.Round(time.Millisecond))
	} else {
		n.Reason = a.Unit.Result
		c.announce(slog.LevelInfo, "old one has ended", n, "service", a.Service, "unit", o.Unit, "result", a.Unit.Result)
	}
}

func (c *Controller) forget(a forget) {
	c.world.State.service(a.Service).drop(a.ID)
	for _, kind := range seeOut {
		c.cancel(kind, a.ID)
	}
}
