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
	installed, held, err := c.readRules(ctx)
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
	c.adoptKept()
	c.adoptPauses(held)
	c.unsaved = true
	c.settings.stale = true
	c.synced = true
	return true
}

func (c *Controller) readRules(ctx context.Context) (installed []nat.Installed, held []nat.Held, err error) {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	unlock, err := c.Router.Lock(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	if installed, err = c.Router.Read(ctx); err != nil || c.Gate == nil {
		return installed, nil, err
	}
	held, err = c.Gate.Holds(ctx)
	return installed, held, err
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
	for _, in := range merged(found) {
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
	}
	c.Log.Info("taken over as found in the rules", "service", name, "unit", to.Unit)
	// Only a switch back makes an old one current.
	a := point{Service: name, To: *to, Back: back, Why: "the rules were found switched back"}
	if to.Found && cur != nil {
		a.To.complete(cur.Targets)
		trial := c.world.State.clone()
		trial.move(a, c.Now())
		if trial.rules().Validate() != nil { // another service has got some of it
			a.To = *to
		}
	}
	c.world.State.move(a, c.Now())
}

// merged returns one entry for each activation. There are two where another
// program has taken one family out of a scope.
func merged(found []nat.Installed) []nat.Installed {
	var all []nat.Installed
	for _, in := range found {
		i := slices.IndexFunc(all, func(b nat.Installed) bool { return b.Activation == in.Activation })
		if i < 0 {
			in.Targets = slices.Clone(in.Targets)
			all = append(all, in)
			continue
		}
		for _, t := range in.Targets {
			all[i].Targets = add(all[i].Targets, t)
		}
	}
	return all
}

// add puts t into targets.
func add(targets []nat.Target, t nat.Target) []nat.Target {
	for i := range targets {
		if targets[i].Endpoint == t.Endpoint && targets[i].Port == t.Port {
			targets[i].Families |= t.Families
			return targets
		}
	}
	return append(targets, t)
}

// complete adds to what was found of a's rules what is still on its way, or was
// flushed meanwhile: until its listeners have been read nobody shall be without
// what the activation before served, which a would not have replaced if it did
// not serve as much.
func (a *Activation) complete(before []nat.Target) {
	if len(a.Targets) == 0 {
		return
	}
	a.Targets = slices.Clone(a.Targets)
	port := a.Targets[0].Port // the only one, unless its unit file says more
	for _, b := range before {
		missing := b.Serves()
		for _, t := range a.Targets {
			if t.Endpoint.Port == b.Endpoint.Port && (!t.Endpoint.Addr.IsValid() || t.Endpoint.Addr == b.Endpoint.Addr) {
				missing &^= t.Serves()
			}
		}
		for _, l := range a.Instance.Listen {
			if missing == 0 || l.Port != b.Endpoint.Port || l.Addr.IsValid() && l.Addr != b.Endpoint.Addr {
				continue
			}
			if a.Instance.Ports != nil {
				port = a.Instance.Ports[l.Name]
			}
			if port != 0 {
				a.Targets = add(a.Targets, nat.Target{Endpoint: b.Endpoint, Port: port, Families: missing})
			}
			break
		}
	}
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
