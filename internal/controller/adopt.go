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
	c.refresh(ctx)
	names := c.names()
	for len(installed) > 0 {
		key := installed[0].Key
		n := slices.IndexFunc(installed, func(in nat.Installed) bool { return in.Key != key })
		if n < 0 {
			n = len(installed)
		}
		if name := names[key]; name != "" {
			c.adoptRules(name, installed[:n])
		} else {
			c.Log.Warn("rules of a service that no loaded unit belongs to will be removed", "invocation", installed[0].Activation)
		}
		installed = installed[n:]
	}
	c.unsaved = true
	c.settings.stale = true
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

// names returns the names of all services by their keys.
func (c *Controller) names() map[string]string {
	names := map[string]string{}
	for _, in := range c.world.Settings {
		names[nat.Key(in.Service)] = in.Service
	}
	for name := range c.world.State.Services {
		names[nat.Key(name)] = name
	}
	return names
}

// adoptRules makes the State agree with the rules that were found for one
// service. They differ if an earlier daemon ended between the two writes, or
// if the State was lost. If it ended between the commits of the two families,
// there are rules for two activations: that move is completed.
func (c *Controller) adoptRules(name string, found []nat.Installed) {
	svc := c.world.State.service(name)
	cur := svc.Current
	var to *Activation
	had, back := false, false
	for _, in := range found {
		if cur != nil && in.Activation == cur.ID {
			had = true
			continue
		}
		// If none runs, the last one that did is as good as any to start from.
		a, old := c.found(svc, in)
		if a != nil && (c.runs(a) || cur == nil) && (to == nil || c.runs(a) && (!c.runs(to) || newer(a, to))) {
			to, back = a, old
		}
	}
	switch {
	case to == nil && had:
		svc.Down = false
		return
	case to == nil:
		c.Log.Warn("what the rules point at does not run any more", "service", name, "invocation", found[0].Activation)
		return
	case had && to.Found:
		to.Targets = complete(to.Targets, cur.Targets)
	}
	c.Log.Info("taken over as found in the rules", "service", name, "unit", to.Unit)
	// Only a switch back makes an old one current.
	c.world.State.move(point{Service: name, To: *to, Back: back, Why: "the rules were found switched back"}, c.Now())
}

// complete returns what was found of targets with the families that are still
// on their way: those of the activation before, which the new one would not
// have replaced if it did not serve as much.
func complete(found, before []nat.Target) []nat.Target {
	for i, t := range found {
		for _, b := range before {
			if b.Endpoint == t.Endpoint {
				found[i].Families |= b.Families
			}
		}
	}
	return found
}

// found returns the activation that in points at, and whether it is an old
// one; nil if it is not known, or not to have the traffic.
func (c *Controller) found(svc *Service, in nat.Installed) (a *Activation, old bool) {
	if o := svc.old(in.Activation); o != nil {
		if o.Rejected || o.Stopping || o.Ended {
			return nil, false
		}
		return &o.Activation, true
	}
	for unit, u := range c.world.Units {
		settings := c.world.Settings[unit]
		if u.Invocation == in.Activation && settings != nil && len(in.Targets) > 0 {
			return &Activation{Unit: unit, ID: u.Invocation, ReadyAt: u.ReadyAt,
				Targets: in.Targets, Instance: *settings, Found: true}, false
		}
	}
	return nil, false
}

// runs reports whether a was running when its unit was last read.
func (c *Controller) runs(a *Activation) bool {
	u := c.world.Units[a.Unit]
	return u.Invocation == a.ID && u.running()
}
