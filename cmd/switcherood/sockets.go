package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/control"
	"github.com/switcheroo/switcheroo/internal/controller"
	"github.com/switcheroo/switcheroo/internal/drain"
	"github.com/switcheroo/switcheroo/internal/probe"
)

// sockets is the kernel's TCP as the controller sees it.
type sockets struct{ monitor *drain.Monitor }

func (s sockets) Quiesce(ctx context.Context, ports []uint16, limit time.Duration) (controller.Left, error) {
	left, err := s.monitor.Quiesce(ctx, ports, limit)
	return fromLeft(left), err
}

func (s sockets) Drain(ctx context.Context, ports []uint16, limit time.Duration) (controller.Left, error) {
	var deadline time.Time // none
	if limit != config.Infinity {
		deadline = time.Now().Add(limit)
	}
	left, err := s.monitor.Drain(ctx, ports, deadline)
	return fromLeft(left), err
}

func (s sockets) Forget(ctx context.Context, ports []uint16) (int, error) {
	return s.monitor.Forget(ctx, ports)
}

func fromLeft(l drain.Left) controller.Left {
	return controller.Left{HalfOpen: l.HalfOpen, Unaccepted: l.Unaccepted, Connections: l.Live, Tracked: l.Entries}
}

// prober asks instances by the network, and counts how that ends.
type prober struct{ metrics *control.Metrics }

func (p prober) Probe(ctx context.Context, how config.Probe, addr netip.AddrPort) error {
	err := ask(ctx, how, addr)
	if how.Kind != config.ProbeNone {
		kind, _, _ := strings.Cut(how.String(), ":")
		p.metrics.Probed(kind, err)
	}
	return err
}

func ask(ctx context.Context, p config.Probe, addr netip.AddrPort) error {
	switch p.Kind {
	case config.ProbeTCP:
		return probe.TCP(ctx, addr)
	case config.ProbeHTTP:
		return probe.HTTP(ctx, addr, p.Path)
	case config.ProbeNone:
		return nil
	}
	return fmt.Errorf("unknown kind of probe %d", p.Kind)
}
