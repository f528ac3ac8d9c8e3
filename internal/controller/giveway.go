package controller

import (
	"context"
	"time"
)

// lull is how long a candidate is let alone when it says READY=1. It has just been
// started, and systemd, the bus, the journal and whoever typed the command have
// something to do as well: where the processors are busy, clients would feel it if
// the switch and the first requests came on top of that.
const lull = 100 * time.Millisecond

// unhurried reports whether nobody waits for a switch of the service: what is to
// serve no longer does, and well.
func (c *Controller) unhurried(service string) bool {
	svc := c.world.State.Services[service]
	if svc == nil || svc.serving() == nil || svc.Pause != nil || c.dirty {
		return false
	}
	u := c.world.Units[svc.Current.Unit]
	return u.Invocation == svc.Current.ID && u.running() && c.world.Unhealthy[u.Invocation] == ""
}

// givesWay reports whether moves shall leave the processors to the servers in
// between: none is urgent, and the servers need them.
func (c *Controller) givesWay(moves []move) bool {
	for _, a := range moves {
		if p, ok := a.(point); !ok || p.Back || !c.unhurried(p.Service) {
			return false
		}
	}
	return len(moves) > 0 && c.busy()
}

func (c *Controller) busy() bool { return c.Busy != nil && c.Busy() }

// prepareGently is prepare, after a lull if the service is served meanwhile and
// the processors are busy.
func (c *Controller) prepareGently(a prepare) func(context.Context) result {
	if !c.unhurried(a.Instance.Service) || c.currentUnit(a.Instance.Service) == a.Unit.Name || !c.busy() {
		return func(ctx context.Context) result { return c.prepare(ctx, a) }
	}
	return func(ctx context.Context) result {
		sleep(ctx, lull) // what follows fails when ctx ends
		return c.prepare(ctx, a)
	}
}
