package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// found is what one look at the listeners of a candidate showed.
type found struct {
	targets   []nat.Target
	listeners []Listener // that were looked at
	reason    error      // why not yet
}

// lookFor looks once for the private ports of a candidate: those of Port=, those
// that it was given or, if it listens on none of these, any that its processes
// listen on.
func (c *Controller) lookFor(ctx context.Context, a prepare) (f found, err error) {
	ports := a.Instance.Ports
	if ports == nil {
		ports = a.Reserved
	}
	if ports != nil {
		// Anybody may listen for it: a socket unit, a container's proxy.
		all, err := c.Units.Listeners(ctx, Unit{})
		if err != nil {
			return f, err
		}
		in := a.Instance
		in.Ports = ports
		f.targets, f.reason = cover(&in, all)
		f.listeners = on(slices.Clone(all), ports)
		if a.Instance.Ports != nil || !errors.As(f.reason, new(noListener)) {
			return f, nil
		}
		f.reason = unused(ports)
	}
	if distinctEndpoints(&a.Instance) > 1 && a.Instance.Ports == nil {
		// Which of its own sockets serves which cannot be told.
		f.reason = cmp.Or(f.reason, error(noListener("it has not asked for its private ports: start it by \"switcheroo exec\", or name them with Port=")))
		return f, nil
	}
	own, err := c.Units.Listeners(ctx, a.Unit)
	if err != nil || ports != nil && len(own) == 0 {
		return f, err
	}
	f.targets, f.reason = cover(&a.Instance, own)
	f.listeners = slices.Clone(own)
	return f, nil
}

// unused says that a candidate does not listen on what it was given.
func unused(ports map[string]uint16) noListener {
	var all []string
	for _, name := range sortedKeys(ports) {
		all = append(all, fmt.Sprint(ports[name]))
	}
	return noListener(fmt.Sprintf("nothing listens on the private port that it was given (%s): let it listen on what it is passed, before it says that it is ready", strings.Join(all, ", ")))
}

// lasting reports whether the listeners of targets, all of them, are systemd's
// and outlive u.
func (c *Controller) lasting(ctx context.Context, u Unit, targets []nat.Target) bool {
	if len(u.Sockets) == 0 {
		return false
	}
	ls, err := c.Units.Listeners(ctx, u)
	if err != nil {
		c.Log.Warn("listeners not read", "unit", u.Name, "error", err)
		return false
	}
	for _, port := range (&Activation{Targets: targets}).ports() {
		if !slices.ContainsFunc(ls, func(l Listener) bool { return l.Lasting && l.Addr.Port() == port }) {
			return false
		}
	}
	return len(targets) > 0
}
