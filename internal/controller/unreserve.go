package controller

import (
	"context"
	"slices"
	"time"
)

const (
	// askFor is how long a port stays reserved for a unit that did not run when
	// it was asked for.
	askFor = time.Minute
	// unreserveFor is how long those are waited for who wait in the queue of a
	// listener whose unit has ended: it may be started again.
	unreserveFor = 30 * time.Second
)

type (
	// unreserve gives up the ports of a unit that has ended, and closes the
	// copies of its listeners.
	unreserve struct{ Unit string }
	// disuse does so for one that serves on other ports.
	disuse struct{ Unit string }
)

// unreserves plans the end of reservations.
func (w *world) unreserves() (actions []action) {
	for _, unit := range sortedKeys(w.State.Reserved) {
		r, u := w.State.Reserved[unit], w.Units[unit]
		switch {
		case w.Running[task{unreserveTask, unit}]:
		case w.disused(unit, r, u):
			actions = append(actions, disuse{Unit: unit})
		case !u.gone() || w.State.activation(unit) != nil:
		case r.For == "" && w.Now < r.At+askFor:
			actions = append(actions, wake{At: r.At + askFor})
		default:
			actions = append(actions, unreserve{Unit: unit})
		}
	}
	return actions
}

// disused reports whether an activation of unit that has not asked for ports has
// the traffic, and serves on others: its file has been changed. Before that it
// may be about to ask.
func (w *world) disused(unit string, r *Reservation, u Unit) bool {
	a := w.State.activation(unit)
	if a == nil || r.For == u.Invocation || a.ID != u.Invocation {
		return false
	}
	ports := a.ports()
	for _, p := range r.Ports {
		if slices.Contains(ports, p) {
			return false
		}
	}
	return true
}

// gone reports whether the unit has ended, and nothing is under way that would
// start it again.
func (u Unit) gone() bool { return u.ended() && !u.returning() }

// unreserve waits until nobody waits in the queues of the unit's listeners.
func (c *Controller) unreserve(ctx context.Context, a unreserve, r Reservation) result {
	began := c.Now()
	var pause retry
	for {
		waiting, gone, err := c.releasable(ctx, a.Unit, r)
		late := c.Now()-began >= unreserveFor
		switch {
		case err != nil && !late: // systemd is away, or sockets cannot be read
			pause.failed(c.Now())
			if sleep(ctx, pause.pause) != nil {
				return nil
			}
			continue
		case err != nil:
			c.Log.Warn("not known whether a unit has ended: its ports stay reserved for now", "unit", a.Unit, "error", err)
			return nil
		case !gone:
			return func(ctx context.Context) { c.reread(ctx, a.Unit) }
		case waiting > 0 && !late:
			if sleep(ctx, look) != nil {
				return nil
			}
			continue
		case waiting > 0:
			c.Log.Warn("closing a listener whose unit has ended, with connections in its queue", "unit", a.Unit, "connections", waiting)
		}
		return func(context.Context) {
			if c.world.State.activation(a.Unit) == nil {
				c.giveUp(a.Unit)
			}
		}
	}
}

// releasable reports whether unit has ended, and how many wait in the queues of
// its listeners.
func (c *Controller) releasable(ctx context.Context, unit string, r Reservation) (waiting int, gone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	u, err := c.Units.Status(ctx, unit)
	if err != nil || !u.gone() {
		return 0, false, err
	}
	kept := c.Keeper.Kept()
	for name, port := range r.Ports {
		if _, ok := kept[keyOf(unit, name, port)]; ok {
			n, err := c.Keeper.Waiting(ctx, port)
			if err != nil {
				return 0, true, err
			}
			waiting += n
		}
	}
	return waiting, true, nil
}

// giveUp closes the copies of unit's listeners and gives up its ports.
func (c *Controller) giveUp(unit string) {
	r := c.world.State.Reserved[unit]
	if r == nil {
		return
	}
	for name, port := range r.Ports {
		c.Keeper.Drop(keyOf(unit, name, port))
	}
	delete(c.world.State.Reserved, unit)
	c.unsaved = true
	c.Log.Debug("ports given back", "unit", unit, "ports", r.Ports)
}
