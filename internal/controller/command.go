package controller

import (
	"context"
	"errors"
	"time"
)

// Errors of commands.
var (
	ErrNoService  = errors.New("no such service")
	ErrNoRollback = errors.New("there is nothing to go back to")
	ErrIsCurrent  = errors.New("it is current already")
	ErrOnlyOne    = errors.New("it is current, and no other instance runs that could take over")
)

// rollbackFor is how long a rollback may take, with others holding the lock.
const rollbackFor = 30 * time.Second

// rollback is an order to give the traffic of a service back.
type rollback struct {
	From, To string // InvocationIDs
	Until    time.Duration
}

// Rollback gives the traffic of a service back to an older activation of unit,
// or, if unit is "", to the newest one that can take it; what had it is rejected
// and seen out. If none runs, it changes nothing: warm is false, and the unit
// that it returns has to be started.
func (c *Controller) Rollback(ctx context.Context, service, unit string) (to string, warm bool, err error) {
	type target struct {
		unit string
		warm bool
	}
	t, err := answer(ctx, c, func(context.Context) (t target, changed bool, err error) {
		if !c.synced {
			return t, false, ErrStarting
		}
		svc := c.world.State.Services[service]
		if svc == nil {
			if c.world.Members[service] == nil {
				return t, false, ErrNoService
			}
			svc = &Service{}
		}
		cur := svc.serving()
		if cur != nil && cur.Unit == unit {
			return t, false, ErrIsCurrent
		}
		o := c.warm(service, svc, unit)
		if o != nil && cur != nil {
			c.world.Asked[service] = rollback{From: cur.ID, To: o.ID, Until: c.Now() + rollbackFor}
			return target{o.Unit, true}, true, nil
		}
		switch {
		case unit != "":
			return target{unit, false}, false, nil
		case svc.Before == "" || cur != nil && svc.Before == cur.Unit:
			return t, false, ErrNoRollback
		}
		return target{svc.Before, false}, false, nil
	})
	return t.unit, t.warm, err
}

// warm returns the old one that can take the traffic back, of unit only if one
// is given.
func (c *Controller) warm(service string, svc *Service, unit string) *Retired {
	p := planner{world: &c.world, name: service, svc: svc}
	if unit == "" {
		return p.fallback()
	}
	for _, o := range svc.Old {
		if o.Unit == unit && p.returns(o) {
			return o
		}
	}
	return nil
}

// SeeOut sees the present activation of unit out, and reports whether there is
// something to see out. If it is current, an older one gets the traffic first.
func (c *Controller) SeeOut(ctx context.Context, unit string) (due bool, err error) {
	// It may have just been told to stop, and wait in its ExecStop=.
	return fresh(ctx, c, unit, func(u Unit) (due, changed bool, err error) {
		id := u.Invocation
		for name, svc := range c.world.State.Services {
			if cur := svc.serving(); cur != nil && cur.Unit == unit && cur.ID == id {
				o := c.warm(name, svc, "")
				if o == nil {
					return false, true, ErrOnlyOne
				}
				c.world.Asked[name] = rollback{From: cur.ID, To: o.ID, Until: c.Now() + rollbackFor}
				c.world.Drains[id] = true
				return true, true, nil
			}
			if o := svc.old(id); o != nil && !o.Ended {
				c.unsaved = c.unsaved || !o.Due
				o.Due = true
				return true, true, nil
			}
		}
		return false, true, nil
	})
}

// Expect looks at unit anew. If a command of its ExecStartPost= is what asks,
// systemd calls the unit active only after that has ended, so it is ready now.
func (c *Controller) Expect(ctx context.Context, unit string, own bool) error {
	_, err := fresh(ctx, c, unit, func(u Unit) (struct{}, bool, error) {
		if own && u.startPost() && c.world.Expected[u.Invocation] == 0 {
			c.world.Expected[u.Invocation] = c.Now()
			c.see(u)
		}
		return struct{}{}, true, nil
	})
	return err
}

// awaited returns u as it is to be taken: one that waits in its ExecStartPost=
// until it has the traffic is up.
func (c *Controller) awaited(u Unit) Unit {
	if !u.startPost() {
		return u
	}
	if at := c.world.Expected[u.Invocation]; at != 0 {
		u.Active, u.Sub, u.ReadyAt = "active", "start-post", at
	} else if a := c.world.State.activation(u.Name); a != nil && a.ID == u.Invocation {
		u.Active, u.ReadyAt = "active", a.ReadyAt // an earlier daemon was asked
	}
	return u
}
