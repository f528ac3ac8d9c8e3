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
	p := preparation{Unit: a.Unit.Name, Asked: a.Instance}
	atBoot := make(chan bool, 1)
	if a.Boot {
		c.wait.Go(func() { atBoot <- c.startedByBoot(ctx, a.Unit) })
	} else {
		atBoot <- false
	}
	p.Targets, p.Lasting, p.Err = c.ready(ctx, a)
	p.AtBoot = <-atBoot
	return func(context.Context) {
		p.At = c.Now()
		c.world.Prepared[a.Unit.Invocation] = p
	}
}

// ready waits until the candidate listens and answers, for its ProbeTimeout at
// most. lasting reports whether its listeners outlive it.
func (c *Controller) ready(ctx context.Context, a prepare) (targets []nat.Target, lasting bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.Instance.ProbeTimeout)
	defer cancel()
	targets, ls, err := c.find(ctx, a)
	if err != nil {
		return nil, false, err
	}
	if err := c.unclaimed(ctx, &a.Instance, targets); err != nil {
		return nil, false, err
	}
	addrs, err := probeAddrs(targets, ls)
	if err != nil {
		return nil, false, err
	}
	for _, addr := range addrs {
		if err := c.answers(ctx, a.Instance.Probe, addr); err != nil {
			return nil, false, fmt.Errorf("it did not pass Probe=%s on %s within %s: %w", a.Instance.Probe, addr, a.Instance.ProbeTimeout, err)
		}
	}
	return targets, c.lasting(ctx, a.Unit, targets), nil
}

// find returns the targets of a candidate. One that says itself when it is
// ready must be listening by then; of others, the listeners must have been the
// same for a while.
func (c *Controller) find(ctx context.Context, a prepare) ([]nat.Target, []Listener, error) {
	var last []Listener
	var reason error // why not yet
	since := c.Now()
	for {
		f, err := c.lookFor(ctx, a)
		switch {
		case err != nil && ctx.Err() != nil: // said already
		case err != nil:
			reason, since = fmt.Errorf("its listening sockets could not be read: %w", err), c.Now()
		default:
			targets, ls := f.targets, f.listeners
			reason = f.reason
			slices.SortFunc(ls, func(a, b Listener) int { return a.Addr.Compare(b.Addr) })
			if !slices.Equal(ls, last) {
				last, since = ls, c.Now()
			}
			settled := c.Now()-since >= settle
			switch {
			case a.Unit.notifies() && (settled || !errors.As(reason, new(noListener))):
				return targets, ls, reason
			case settled && (reason == nil || len(distinctPorts(ls)) >= distinctEndpoints(&a.Instance)):
				return targets, ls, reason
			}
		}
		if err := sleep(ctx, look); err != nil {
			switch {
			case reason != nil:
				return nil, nil, reason
			case last == nil:
				return nil, nil, err
			}
			return nil, nil, fmt.Errorf("the sockets that it listens on (%s) kept changing", list(last, 0))
		}
	}
}

// distinctEndpoints returns how many private ports in is expected to have.
func distinctEndpoints(in *config.Instance) int {
	public := map[uint16]bool{}
	for _, l := range in.Listen {
		public[l.Port] = true
	}
	return len(public)
}

// on keeps those of ls that are on one of ports.
func on(ls []Listener, ports map[string]uint16) []Listener {
	return slices.DeleteFunc(ls, func(l Listener) bool {
		for _, p := range ports {
			if l.Addr.Port() == p {
				return false
			}
		}
		return true
	})
}

// probeAddrs returns what the listeners on the private ports of targets are
// bound to, each address once. It is an error if a port has none.
func probeAddrs(targets []nat.Target, ls []Listener) ([]netip.AddrPort, error) {
	var addrs []netip.AddrPort
	for _, port := range (&Activation{Targets: targets}).ports() {
		n := len(addrs)
		for _, l := range ls {
			if l.Addr.Port() == port && !slices.Contains(addrs, l.Addr) {
				addrs = append(addrs, l.Addr)
			}
		}
		if len(addrs) == n {
			return nil, fmt.Errorf("nothing listens on its private port %d any more", port)
		}
	}
	return addrs, nil
}

// answers repeats the probe until it succeeds or ctx ends, and then returns the
// last failure that was not ctx's. After an attempt that used up its time the
// next one may take twice as long, so neither a lost first one nor a slow server
// uses up all of it.
func (c *Controller) answers(ctx context.Context, p config.Probe, addr netip.AddrPort) error {
	if p.Kind == config.ProbeNone {
		return nil
	}
	var last error
	pause, limit := look, time.Second
	for {
		began := c.Now()
		err := c.probe(ctx, limit, p, addr)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if c.Now()-began >= limit {
			limit = min(2*limit, time.Minute)
		}
		if sleep(ctx, pause) != nil {
			return last
		}
		pause = min(2*pause, time.Second)
	}
}

func (c *Controller) probe(ctx context.Context, limit time.Duration, p config.Probe, addr netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.Prober.Probe(ctx, p, addr)
}

// startedByBoot reports whether the boot started u, not an operator. If systemd
// does not say, it was an operator.
func (c *Controller) startedByBoot(ctx context.Context, u Unit) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	finished, err := c.Units.BootFinished(ctx)
	if err == nil && finished != 0 && u.StartedAt > finished {
		return false
	}
	var enabled bool
	if err == nil {
		enabled, err = c.Units.Enabled(ctx, u.Name)
	}
	if err != nil && ctx.Err() == nil {
		c.Log.Warn("cannot tell whether the boot started it", "unit", u.Name, "error", err)
	}
	return enabled && err == nil
}
