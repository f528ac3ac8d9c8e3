package controller

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

const (
	// settle is how long the listeners of a unit that does not say when it is
	// ready must be unchanged.
	settle = 500 * time.Millisecond
	// look is the pause between two looks: a socket that begins to listen
	// sends no event.
	look = 25 * time.Millisecond
)

// prepare finds the private ports of a candidate and probes them.
func (c *Controller) prepare(ctx context.Context, a prepare) result {
	p := preparation{Asked: a.Asked}
	p.Targets, p.Err = c.ready(ctx, a)
	if p.Err == nil {
		p.AtBoot, p.Err = c.startedByBoot(ctx, a)
	}
	return func(context.Context) { c.world.Prepared[a.Unit.Invocation] = p }
}

// ready waits until the candidate listens and answers, for its ProbeTimeout at
// most.
func (c *Controller) ready(ctx context.Context, a prepare) ([]nat.Target, error) {
	ctx, cancel := context.WithTimeout(ctx, a.Instance.ProbeTimeout)
	defer cancel()
	targets, ls, err := c.find(ctx, a)
	if err != nil {
		return nil, err
	}
	for _, addr := range probeAddrs(targets, ls) {
		if err := c.answers(ctx, a.Instance.Probe, addr); err != nil {
			return nil, fmt.Errorf("it did not pass Probe=%s on %s within %s: %w", describeProbe(a.Instance.Probe), addr, a.Instance.ProbeTimeout, err)
		}
	}
	return targets, nil
}

// find returns the targets of a candidate. One that says itself when it is
// ready must be listening by then; of others, the listeners must have been the
// same for a while.
func (c *Controller) find(ctx context.Context, a prepare) ([]nat.Target, []Listener, error) {
	scope := a.Unit
	if a.Instance.Ports != nil {
		scope = Unit{} // anybody may listen for it: a socket unit, a container's proxy
	}
	var last []Listener
	since := c.Now()
	for {
		ls, err := c.Units.Listeners(ctx, scope)
		if err != nil {
			return nil, nil, fmt.Errorf("its listening sockets could not be read: %w", err)
		}
		targets, err := cover(&a.Instance, ls)
		if a.Unit.notifies() && (!errors.Is(err, errNoListener) || c.Now()-since >= settle) {
			return targets, ls, err
		}
		if scope.Name == "" {
			ls = on(ls, a.Instance.Ports)
		}
		if !slices.Equal(sorted(ls), last) {
			last, since = sorted(ls), c.Now()
		}
		settled := c.Now()-since >= settle
		if settled && err == nil || settled && len(ls) > 0 && len(distinctPorts(ls)) >= len(a.Instance.Listen) {
			return targets, ls, err
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("the sockets that it listens on (%s) kept changing", list(ls, 0))
			}
			return nil, nil, err
		case <-time.After(look):
		}
	}
}

func sorted(ls []Listener) []Listener {
	ls = slices.Clone(ls)
	slices.SortFunc(ls, func(a, b Listener) int { return a.Addr.Compare(b.Addr) })
	return ls
}

// on returns those of ls that are on one of ports.
func on(ls []Listener, ports map[string]uint16) []Listener {
	var out []Listener
	for _, l := range ls {
		for _, p := range ports {
			if l.Addr.Port() == p {
				out = append(out, l)
				break
			}
		}
	}
	return out
}

// probeAddrs returns where to probe: every private port once, at the address
// that its listener is bound to, by loopback if that is all of them.
func probeAddrs(targets []nat.Target, ls []Listener) []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, port := range (&Activation{Targets: targets}).ports() {
		i := slices.IndexFunc(ls, func(l Listener) bool { return l.Addr.Port() == port })
		if i < 0 {
			continue
		}
		addr := ls[i].Addr.Addr()
		switch {
		case !addr.IsUnspecified():
		case addr.Is4() || !ls[i].V6Only:
			addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		default:
			addr = netip.IPv6Loopback()
		}
		addrs = append(addrs, netip.AddrPortFrom(addr, port))
	}
	return addrs
}

// answers repeats the probe until it succeeds or ctx ends.
func (c *Controller) answers(ctx context.Context, p config.Probe, addr netip.AddrPort) error {
	if p.Kind == config.ProbeNone {
		return nil
	}
	pause := look
	for {
		err := c.Prober.Probe(ctx, p, addr)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Second)
	}
}

// startedByBoot reports whether the boot started the candidate, not an operator.
func (c *Controller) startedByBoot(ctx context.Context, a prepare) (bool, error) {
	if a.BootFinished != 0 && a.Unit.StartedAt > a.BootFinished {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	enabled, err := c.Units.Enabled(ctx, a.Unit.Name)
	if err != nil {
		return false, fmt.Errorf("whether it is enabled could not be read: %w", err)
	}
	return enabled, nil
}

func describeProbe(p config.Probe) string {
	switch p.Kind {
	case config.ProbeHTTP:
		return "http:" + p.Path
	case config.ProbeNone:
		return "none"
	}
	return "tcp"
}
