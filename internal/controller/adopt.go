package controller

import (
	"context"
	"slices"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// sync takes in the kernel's rules, which say what is current, once systemd's
// units are known. It reports whether planning can begin.
func (c *Controller) sync(ctx context.Context) bool {
	if !c.known || c.Now() < c.retry.at {
		return false
	}
	installed, err := c.readRules(ctx)
	if err != nil {
		c.retry.failed(c.Now())
		c.Log.Error("rules not read", "error", err, "again_in", c.retry.pause)
		return false
	}
	c.retry = retry{}
	c.world.Now = c.Now()
	c.world.Settings, c.world.Released = c.settings.effective(c.world.State, c.world.Units), c.settings.none
	for _, in := range installed {
		c.adoptRule(in)
	}
	c.save()
	c.synced = true
	return true
}

func (c *Controller) readRules(ctx context.Context) ([]nat.Installed, error) {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	unlock, err := c.Router.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return c.Router.Read(ctx)
}

// adoptRule makes the State agree with a rule that was found. They differ if an
// earlier daemon ended between the two writes, or if the State was lost.
func (c *Controller) adoptRule(in nat.Installed) {
	s := c.world.State
	name := c.serviceOf(in.Key)
	if name == "" {
		c.Log.Warn("rules of a service that no loaded unit belongs to will be removed", "invocation", in.Activation)
		return
	}
	svc := s.service(name)
	if cur := svc.Current; cur != nil && cur.ID == in.Activation {
		cur.Targets = in.Targets
		svc.Down = false
		return
	}
	if o := svc.old(in.Activation); o != nil {
		// Only a switch back makes an old one current.
		why := "the rules were found switched back"
		s.move(point{Service: name, To: o.Activation, Back: true, Why: why}, c.world.Now)
		return
	}
	for unit, u := range c.world.Units {
		settings := c.world.Settings[unit]
		if u.Invocation != in.Activation || settings == nil {
			continue
		}
		c.Log.Info("taken over as found in the rules", "service", name, "unit", unit)
		to := Activation{Unit: unit, ID: u.Invocation, ReadyAt: u.ReadyAt, Targets: in.Targets, Instance: *settings}
		s.move(point{Service: name, To: to}, c.world.Now)
		return
	}
	c.Log.Warn("the activation that the rules point at is gone", "service", name, "invocation", in.Activation)
}

// serviceOf returns the name whose key the rules hold, or "".
func (c *Controller) serviceOf(key string) string {
	for name := range c.world.State.Services {
		if nat.Key(name) == key {
			return name
		}
	}
	for _, in := range c.world.Settings {
		if nat.Key(in.Service) == key {
			return in.Service
		}
	}
	return ""
}

// inspect looks for others' rules that stand in the way of a.
func (c *Controller) inspect(ctx context.Context, a *Activation) {
	redirects := []nat.Redirect{a.redirect()}
	t := task{inspectTask, a.ID}
	if c.world.Running[t] {
		return
	}
	c.start(ctx, t, func(ctx context.Context) result {
		ctx, cancel := context.WithTimeout(ctx, applyTimeout)
		defer cancel()
		findings, err := c.Router.Foreign(ctx, redirects)
		if err != nil {
			c.Log.Warn("other programs' firewall rules not read", "service", a.Instance.Service, "error", err)
		}
		for _, f := range findings {
			c.Log.Warn(f.Message, "service", a.Instance.Service, "rule", f.Rule, "instead", f.Fix)
		}
		return nil
	})
}

func sortedKeys[K interface{ ~string | ~uint16 }, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
