package controller

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
)

// Keep keeps a copy of the listener that unit has bound for one of its
// endpoints, in place of an earlier one. The caller may close l then.
func (c *Controller) Keep(ctx context.Context, unit, name string, port uint16, l *os.File) error {
	check := func(context.Context) (struct{}, bool, error) {
		switch {
		case !c.synced:
			return struct{}{}, false, ErrStarting
		case !c.mayKeep(unit, name, port):
			return struct{}{}, false, ErrNotReserved
		}
		return struct{}{}, true, nil
	}
	if _, err := answer(ctx, c, check); err != nil {
		return err
	}
	key := keyOf(unit, name, port)
	if err := c.Keeper.Keep(ctx, key, port, l); err != nil {
		return err
	}
	// The reservation may have been released meanwhile.
	if _, err := answer(ctx, c, check); errors.Is(err, ErrNotReserved) {
		c.Keeper.Drop(key)
		return err
	}
	return nil
}

// mayKeep reports whether a port is unit's own. If the daemon that gave it could
// not save that, it is taken to be if nobody else has a right to it.
func (c *Controller) mayKeep(unit, name string, port uint16) bool {
	r, in := c.world.State.Reserved[unit], c.settings.valid[unit]
	if r != nil && r.Ports[name] != 0 || in == nil {
		return r != nil && port != 0 && r.Ports[name] == port
	}
	_, of := endpointNames(in)
	if of[name] == nil || in.Ports != nil || !c.ports.Contains(port) || c.used()[port] {
		return false
	}
	if r == nil {
		r = &Reservation{For: c.world.Units[unit].Invocation, At: c.Now(), Ports: map[string]uint16{}}
		c.world.State.reserve(unit, r)
	}
	r.Ports[name] = port
	c.unsaved = true
	c.save()
	return true
}

// findKept brings the world up to date with the copies that are kept.
func (c *Controller) findKept() {
	c.world.Kept = nil
	kept := c.Keeper.Kept()
	if len(kept) == 0 {
		return
	}
	c.world.Kept = map[string][]uint16{}
	for unit, r := range c.world.State.Reserved {
		for name, port := range r.Ports {
			if _, ok := kept[keyOf(unit, name, port)]; ok {
				c.world.Kept[unit] = append(c.world.Kept[unit], port)
			}
		}
	}
}

// adoptKept finds out whose the copies are that were kept for an earlier
// daemon, also if its State was lost, and closes those that are nobody's any
// more.
func (c *Controller) adoptKept() {
	kept := c.Keeper.Kept()
	mine := func(unit, name string, port uint16) bool {
		key := keyOf(unit, name, port)
		_, ok := kept[key]
		delete(kept, key)
		return ok
	}
	for unit, r := range c.world.State.Reserved {
		for name, port := range r.Ports {
			mine(unit, name, port)
		}
	}
	ports := slices.Collect(maps.Values(kept))
	for _, unit := range sortedKeys(c.settings.valid) {
		names, _ := endpointNames(c.settings.valid[unit])
		for _, name := range names {
			for _, port := range ports {
				if !mine(unit, name, port) {
					continue
				}
				s := c.world.State
				if s.Reserved[unit] == nil {
					s.reserve(unit, &Reservation{For: c.world.Units[unit].Invocation, At: c.Now(), Ports: map[string]uint16{}})
				}
				if s.Reserved[unit].Ports[name] == 0 {
					s.Reserved[unit].Ports[name] = port
					c.Log.Info("taken over as kept", "unit", unit, "port", port)
					continue
				}
				c.Keeper.Drop(keyOf(unit, name, port)) // it has been replaced
			}
		}
	}
	for key, port := range kept {
		c.Log.Info("closed a listener that no loaded unit has bound", "port", port)
		c.Keeper.Drop(key)
	}
}
