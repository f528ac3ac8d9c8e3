package controller

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/switcheroo/switcheroo/internal/config"
)

// Errors of instances that ask for ports.
var (
	ErrNoSection   = errors.New("it has no valid [X-Switcheroo] section")
	ErrNoPorts     = errors.New("every port of PrivatePorts= is taken")
	ErrNotReserved = errors.New("that port is not reserved for it")
)

// Reserved are the private ports of one unit.
type Reserved struct {
	Unit, Service string
	Ports         []ReservedPort // in the order of Listen=
}

// ReservedPort is the private port of one endpoint.
type ReservedPort struct {
	Name   string
	Port   uint16
	Listen []config.Listen // the public endpoints that it is for
	// Kept is a copy of the listener that the unit has bound there before, if
	// one is kept; the caller closes it.
	Kept *os.File
}

// Close closes the copies of listeners.
func (r *Reserved) Close() {
	for i := range r.Ports {
		if r.Ports[i].Kept != nil {
			r.Ports[i].Kept.Close()
		}
	}
}

// Reserve returns the private port of each endpoint of unit: the one of Port=,
// or one that is reserved for it. It is the same one each time until the unit
// has ended with no restart on its way. Those in taken could not be bound, and
// are replaced. Close what is returned.
func (c *Controller) Reserve(ctx context.Context, unit string, taken []uint16) (*Reserved, error) {
	r, err := fresh(ctx, c, unit, func(u Unit) (*Reserved, bool, error) { return c.reserve(unit, u, taken) })
	if err != nil {
		return nil, err
	}
	for i, p := range r.Ports {
		if r.Ports[i].Kept, err = c.Keeper.Copy(keyOf(unit, p.Name, p.Port)); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

func (c *Controller) reserve(unit string, u Unit, taken []uint16) (r *Reserved, changed bool, err error) {
	in := c.settings.valid[unit]
	if in == nil {
		return nil, true, ErrNoSection
	}
	names, of := endpointNames(in)
	now := &Reservation{For: u.Invocation, At: c.Now(), Ports: map[string]uint16{}}
	before := c.world.State.Reserved[unit]
	used := c.used()
	kept := c.Keeper.Kept()
	for _, p := range taken {
		used[p] = true
	}
	r = &Reserved{Unit: unit, Service: in.Service}
	for _, name := range names {
		port := in.Ports[name]
		if port == 0 && before != nil {
			port = before.Ports[name]
			_, mine := kept[keyOf(unit, name, port)]
			if !mine && (slices.Contains(taken, port) || public(c.settings.valid, port)) {
				port = 0
			}
		}
		if port == 0 {
			if port, err = c.choose(used); err != nil {
				c.Log.Warn("no port reserved", "service", in.Service, "unit", unit, "range", c.ports, "error", err)
				return nil, true, err
			}
		}
		used[port] = true
		now.Ports[name] = port
		r.Ports = append(r.Ports, ReservedPort{Name: name, Port: port, Listen: of[name]})
	}
	if before == nil || before.For != now.For || !maps.Equal(before.Ports, now.Ports) {
		c.dropOthers(unit, before, now)
		// Whoever looks for its listeners does not know yet which they are.
		c.cancel(prepareTask, u.Invocation)
		delete(c.world.Prepared, u.Invocation)
		c.Log.Log(context.Background(), slog.LevelDebug, "ports reserved", "service", in.Service, "unit", unit, "ports", now.Ports)
	}
	c.cancel(unreserveTask, unit)
	c.world.State.reserve(unit, now)
	c.unsaved = true
	c.save() // before anybody binds it: the next daemon must not give it to another
	return r, true, nil
}

// dropOthers closes the copies of listeners that unit has bound on ports which
// are its own no longer.
func (c *Controller) dropOthers(unit string, before, now *Reservation) {
	if before == nil {
		return
	}
	for name, port := range before.Ports {
		if now.Ports[name] != port {
			c.Keeper.Drop(keyOf(unit, name, port))
		}
	}
}

// public reports whether one of the instances is dialled on port.
func public(instances map[string]*config.Instance, port uint16) bool {
	for _, in := range instances {
		if slices.ContainsFunc(in.Listen, func(l config.Listen) bool { return l.Port == port }) {
			return true
		}
	}
	return false
}

// reserve notes what unit was given.
func (s *State) reserve(unit string, r *Reservation) {
	if s.Reserved == nil {
		s.Reserved = map[string]*Reservation{}
	}
	s.Reserved[unit] = r
}

// SetPrivatePorts says which ports to hand out from now on.
func (c *Controller) SetPrivatePorts(ctx context.Context, r config.PortRange) error {
	_, err := answer(ctx, c, func(context.Context) (struct{}, bool, error) {
		c.ports = r
		return struct{}{}, false, nil
	})
	return err
}
