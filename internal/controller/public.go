package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// A server from before there were redirects listens on the public port itself.
// It is adopted with Port= and the number of that port: the rule leads to where
// packets go anyway, until the next version has a private port. This file is
// about what is different with it. Its connections need no translation, and
// conntrack may know those that began before the first rule only in part.

// forgetTries bounds how often what was emptied is looked at again: packets of a
// connection that ends may have the kernel remember it once more.
const forgetTries = 5

// emptied waits until a has no connection left, and no source port of the past
// is led to a public port of its own any more.
func (c *Controller) emptied(ctx context.Context, a *Activation, limit time.Duration) (Left, error) {
	began := c.Now()
	for try := 1; ; try++ {
		left, err := c.Sockets.Drain(ctx, a.ports(), limit-c.spent(limit, began))
		public := a.public()
		if err != nil || left.Connections > 0 || len(public) == 0 || try == forgetTries {
			return left, err
		}
		forgotten, err := c.Sockets.Forget(ctx, public)
		if err != nil {
			c.Log.Warn("what conntrack remembers of the public port was not cleared", "unit", a.Unit, "error", err)
			return left, nil
		}
		if forgotten == 0 {
			return left, nil
		}
	}
}

// clear makes the kernel forget what the old one o left behind on a public port:
// it may have ended with connections, and the next ones from their source ports
// are to be redirected.
func (c *Controller) clear(ctx context.Context, o *Retired) {
	public := o.public()
	if len(public) == 0 {
		return
	}
	unit := o.Unit
	c.start(ctx, task{clearTask, o.ID}, func(ctx context.Context) result {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		if _, err := c.Sockets.Forget(ctx, public); err != nil && ctx.Err() == nil {
			c.Log.Warn("what conntrack remembers of the public port was not cleared", "unit", unit, "error", err)
		}
		return nil
	})
}

// unreachable says why in cannot be probed, or "": it listens on a public port,
// and that leads to another unit.
func (p *planner) unreachable(in *config.Instance) string {
	if in.Probe.Kind == config.ProbeNone {
		return ""
	}
	for _, name := range sortedKeys(p.State.Services) {
		cur := p.State.Services[name].serving()
		if cur == nil || cur.Unit == in.Unit {
			continue
		}
		for _, port := range in.Ports {
			if slices.ContainsFunc(cur.Targets, func(t nat.Target) bool { return t.Endpoint.Port == port && t.Port != port }) {
				return fmt.Sprintf("its private port %d is a public one, which leads to %s: it cannot be probed there; let it listen on another port, or set Probe=none", port, cur.Unit)
			}
		}
	}
	return ""
}
