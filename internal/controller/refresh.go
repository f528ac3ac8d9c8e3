package controller

import (
	"context"
	"log/slog"
	"time"
)

// refresh brings the derived parts of the world up to date, and returns when
// that is to be done again, 0 for when something happens.
func (c *Controller) refresh(ctx context.Context) (next time.Duration) {
	next = c.verify(ctx)
	w := &c.world
	w.Now = c.Now()
	w.Families = c.Router.Families()
	c.rename()
	w.Settings, w.Members = c.settings.effective(w.State, w.Units)
	w.Released = c.settings.none
	c.findKept()
	w.prune()
	for t, r := range c.tasks {
		if t.Kind == prepareTask && w.Units[r.unit].Invocation != t.ID {
			c.cancel(t.Kind, t.ID) // its candidate is gone
		}
	}
	return next
}

// rename follows a Service= that was changed under a running current instance,
// if the new name is free. One that is not is withdrawn from (disowned).
func (c *Controller) rename() {
	services := c.world.State.Services
	for _, name := range sortedKeys(services) {
		svc := services[name]
		if svc.serving() == nil {
			continue
		}
		in := c.settings.valid[svc.Current.Unit]
		if in == nil || in.Service == name {
			continue
		}
		if there := services[in.Service]; there != nil && (there.serving() != nil || len(there.Old) > 0) {
			continue
		}
		n := about(Renamed, in.Service, svc.Current)
		n.From = name
		c.announce(slog.LevelInfo, "renamed", n, "service", in.Service, "before", name)
		services[in.Service] = svc
		delete(services, name)
		svc.Current.Instance.Service = in.Service
		for _, o := range svc.Old {
			o.Instance.Service = in.Service
		}
		c.dirty, c.unsaved, c.settings.stale = true, true, true
	}
}
