package controller

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// act carries out what moves no rule, or starts it, and reports whether the
// world has changed.
func (c *Controller) act(ctx context.Context, a action) bool {
	switch a := a.(type) {
	case refuse:
		c.refuse(a)
	case supersede:
		c.supersede(a)
	case adopt:
		c.world.State.service(a.Service).Current.Instance = a.Instance
		c.dirty = true // Guard= may have changed
		c.save()
		c.Log.Info("settings changed", "service", a.Service, "unit", a.Instance.Unit)
	case dismiss:
		c.dismiss(a)
	case forget:
		c.forget(ctx, a)
	case pardon:
		svc := c.world.State.service(a.Service)
		svc.Crashed = slices.DeleteFunc(svc.Crashed, func(u string) bool { return u == a.Unit })
		c.save()
	case prepare:
		c.start(ctx, task{prepareTask, a.Unit.Invocation}, func(ctx context.Context) result { return c.prepare(ctx, a) })
		return false
	case quiesce:
		c.start(ctx, task{quiesceTask, a.Old.ID}, func(ctx context.Context) result { return c.quiesce(ctx, a) })
		return false
	case watch:
		c.start(ctx, task{watchTask, a.Current.ID}, func(ctx context.Context) result { return c.watch(ctx, a) })
		return false
	case promote:
		c.start(ctx, task{promoteTask, a.Old.ID}, func(ctx context.Context) result { return c.promote(ctx, a) })
		return false
	case drain:
		c.start(ctx, task{drainTask, a.Old.ID}, func(ctx context.Context) result { return c.drain(ctx, a) })
		return false
	case stop:
		c.start(ctx, task{stopTask, a.ID}, func(ctx context.Context) result { return c.stop(ctx, a) })
		return false
	}
	return true
}

func (c *Controller) refuse(a refuse) {
	svc := c.world.State.service(a.Service)
	if svc.Refused == nil {
		svc.Refused = map[string]Refusal{}
	}
	svc.Refused[a.ID] = Refusal{Unit: a.Unit, Reason: a.Reason, Asked: a.Asked}
	c.save()
	message := "not switched to"
	if cur := svc.serving(); cur != nil && cur.ID == a.ID {
		message = "changed settings not taken over"
	}
	c.Log.Warn(message, "service", a.Service, "unit", a.Unit, "reason", a.Reason, "current", c.currentUnit(a.Service))
}

func (c *Controller) supersede(a supersede) {
	svc := c.world.State.service(a.Service)
	o := &Retired{Activation: a.Activation}
	o.Since = c.world.Now
	o.StandbyUntil = o.Since + svc.Current.Instance.Standby
	svc.Old = append(svc.Old, o)
	slices.SortStableFunc(svc.Old, func(x, y *Retired) int { return cmp.Compare(y.ReadyAt, x.ReadyAt) })
	c.save()
	c.Log.Info("not switched to, and seen out", "service", a.Service, "unit", o.Unit, "reason", a.Why)
}

func (c *Controller) dismiss(a dismiss) {
	o := c.world.State.service(a.Service).old(a.ID)
	o.Stopping = true
	c.save()
	c.Log.Info("stopping", "service", a.Service, "unit", o.Unit)
}

// forget drops an old one that has ended, and says how.
func (c *Controller) forget(ctx context.Context, a forget) {
	svc := c.world.State.service(a.Service)
	svc.Old = slices.DeleteFunc(svc.Old, func(o *Retired) bool { return o.ID == a.Old.ID })
	for _, kind := range []taskKind{quiesceTask, promoteTask, drainTask, stopTask} {
		c.cancel(kind, a.Old.ID)
	}
	c.dirty = true // its private port is guarded no longer
	c.save()
	switch {
	case !a.Old.Stopping:
		if !slices.Contains(svc.Crashed, a.Old.Unit) {
			svc.Crashed = append(svc.Crashed, a.Old.Unit)
			c.save()
		}
		c.Log.Info("old one has ended", "service", a.Service, "unit", a.Old.Unit, "result", a.Unit.Result)
	case a.Unit.Active == "failed":
		// Left failed, every deploy would leave the host degraded.
		c.Log.Warn("old one stopped, but not cleanly", "service", a.Service, "unit", a.Old.Unit, "result", a.Unit.Result)
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		if err := c.Units.ResetFailed(ctx, a.Old.Unit); err != nil {
			c.Log.Warn("failed state not reset", "unit", a.Old.Unit, "error", err)
		}
	default:
		c.Log.Info("stopped", "service", a.Service, "unit", a.Old.Unit,
			"after", (c.world.Now - a.Old.Since).Round(time.Millisecond))
	}
}
