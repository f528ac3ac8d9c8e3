package switcheroo

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
	"github.com/switcheroo/switcheroo/internal/probe"
	"github.com/switcheroo/switcheroo/internal/sockdiag"
)

// targets returns the endpoints with the private port and the families in which
// the listeners on it serve them, as far as there are rules for these families.
// An endpoint that they do not serve at all is an error.
func targets(endpoints []nat.Endpoint, port uint16, scope nat.Scope, listeners []sockdiag.Listener, rules nat.Family) ([]nat.Target, error) {
	var all []nat.Target
	for _, e := range endpoints {
		var families nat.Family
		var bound []string
		for _, l := range listeners {
			families |= serves(l, e, scope)
			bound = append(bound, l.Addr.String())
		}
		t := nat.Target{Endpoint: e, Port: port, Families: families}
		if t.Serves() == 0 {
			return nil, fmt.Errorf("endpoint %v is not served: this process listens on %s", e, strings.Join(bound, " and "))
		}
		if t.Families &= rules; t.Serves() == 0 {
			return nil, fmt.Errorf("endpoint %v cannot be redirected: there are rules for %v alone", e, rules)
		}
		all = append(all, t)
	}
	return all, nil
}

// serves returns the families in which a listener gets connections that were
// made to e. The redirect keeps the address dialled.
func serves(l sockdiag.Listener, e nat.Endpoint, scope nat.Scope) nat.Family {
	addr := l.Addr.Addr()
	switch {
	case addr == netip.IPv6Unspecified() && !l.V6Only:
		return nat.DualStack
	case addr == netip.IPv6Unspecified():
		return nat.IPv6
	case addr == netip.IPv4Unspecified():
		return nat.IPv4
	case e.Addr == addr, !e.Addr.IsValid() && addr.IsLoopback() && scope == nat.Localhost:
		if addr.Is4() {
			return nat.IPv4
		}
		return nat.IPv6
	}
	return 0
}

// lookAgain is how long to wait for the next look at what cannot be waited for.
const lookAgain = 50 * time.Millisecond

// ready waits until something listens on the private port and the probe has
// succeeded, at most for the probe's time, and returns the listeners.
func ready(ctx context.Context, s settings, port uint16) ([]sockdiag.Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, s.probeTimeout)
	defer cancel()
	err, asked := errors.New("nothing listens on it"), false
	for {
		listeners, lookErr := sockdiag.ListenersOn(ctx, port)
		switch {
		case lookErr != nil && ctx.Err() == nil:
			return nil, fmt.Errorf("look for the listener on port %d: %w", port, lookErr)
		case len(listeners) > 0:
			failed := ask(ctx, s.probe, listeners[0].Addr, probeOnce)
			if failed == nil {
				return listeners, nil
			}
			// What the end of the time cut off says less than what came before.
			if ctx.Err() == nil || !asked {
				err, asked = failed, true
			}
		}
		if pause(ctx, lookAgain) != nil {
			return nil, fmt.Errorf("%w on private port %d within %v: %w", ErrNotReady, port, s.probeTimeout, err)
		}
	}
}

// probeOnce is how long one attempt may take: the next may find a server that
// has come to itself.
const probeOnce = 5 * time.Second

// ask probes once.
func ask(ctx context.Context, c check, addr netip.AddrPort, atMost time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	switch c.kind {
	case "tcp":
		return probe.TCP(ctx, addr)
	case "http":
		return probe.HTTP(ctx, addr, c.path)
	}
	return nil
}
