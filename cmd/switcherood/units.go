package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/controller"
	"github.com/switcheroo/switcheroo/internal/sockdiag"
	sysunit "github.com/switcheroo/switcheroo/internal/unit"
)

// units is systemd as the controller sees it.
type units struct{ client *sysunit.Client }

func (u units) Status(ctx context.Context, name string) (controller.Unit, error) {
	s, err := u.client.Status(ctx, name)
	return fromStatus(s), err
}

func (u units) Listeners(ctx context.Context, of controller.Unit) ([]controller.Listener, error) {
	var found []sockdiag.Listener
	var err error
	switch {
	case of.Name == "":
		found, err = sockdiag.Listeners(ctx)
	case of.CGroup == "":
		// It was read while it was starting.
		var s sysunit.Status
		if s, err = u.client.Status(ctx, of.Name); err == nil && s.ControlGroup == "" {
			err = fmt.Errorf("systemd names no cgroup of %s", of.Name)
		}
		if err == nil {
			found, err = sysunit.Listeners(ctx, s.ControlGroup)
		}
	default:
		found, err = sysunit.Listeners(ctx, of.CGroup)
	}
	ls := make([]controller.Listener, len(found))
	for i, l := range found {
		ls[i] = controller.Listener{Addr: l.Addr, V6Only: l.V6Only}
	}
	if err != nil || len(of.Sockets) == 0 {
		return ls, err
	}
	passed, err := u.passed(ctx, of.Sockets)
	return append(ls, passed...), err
}

// passed returns the listeners of socket units.
func (u units) passed(ctx context.Context, sockets []string) (ls []controller.Listener, err error) {
	var addrs []netip.AddrPort
	for _, s := range sockets {
		some, err := u.client.ListenAddrs(ctx, s)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, some...)
	}
	if len(addrs) == 0 {
		return nil, nil
	}
	all, err := sockdiag.Listeners(ctx)
	for _, l := range all {
		if slices.Contains(addrs, l.Addr) {
			ls = append(ls, controller.Listener{Addr: l.Addr, V6Only: l.V6Only, Lasting: true})
		}
	}
	return ls, err
}

// Stop stops a unit, and before it the socket units that would start it again at
// the next stray connection.
func (u units) Stop(ctx context.Context, name string) error {
	s, err := u.client.Status(ctx, name)
	if err != nil {
		return err
	}
	for _, socket := range s.Sockets {
		if err := u.client.Stop(ctx, socket); err != nil {
			return err
		}
	}
	return u.client.Stop(ctx, name)
}

func (u units) ResetFailed(ctx context.Context, name string) error {
	return u.client.ResetFailed(ctx, name)
}

func (u units) Enabled(ctx context.Context, name string) (bool, error) {
	state, err := u.client.FileState(ctx, name)
	return state == "enabled", permanent(err)
}

func (u units) Enable(ctx context.Context, name string) error {
	return permanent(u.client.Enable(ctx, name))
}

func (u units) Disable(ctx context.Context, name string) error {
	return permanent(u.client.Disable(ctx, name))
}

// permanent marks an answer of systemd's: while it is away, the client tries
// again by itself until the context ends.
func permanent(err error) error {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return controller.Permanent{Err: err}
}

func (u units) BootFinished(ctx context.Context) (time.Duration, error) {
	return u.client.BootFinished(ctx)
}

func fromStatus(s sysunit.Status) controller.Unit {
	u := controller.Unit{
		Name:       s.Name,
		Invocation: s.Invocation,
		Active:     s.Active,
		Sub:        s.Sub,
		Job:        s.Job,
		Type:       s.Type,
		Result:     s.Result,
		Restarts:   s.Restarts,
		CGroup:     s.ControlGroup,
		Sockets:    s.Sockets,
		ReadyAt:    s.ReadyAt,
		StartedAt:  s.StartedAt,
	}
	for _, f := range s.Files {
		u.Files = append(u.Files, config.File{Path: f.Path, Data: f.Data})
	}
	return u
}

// translate hands systemd's news to the controller until ctx ends. It calls
// reloaded when all of it was read anew, and lost when the connection is.
func translate(ctx context.Context, from <-chan sysunit.Event, to chan<- controller.Event, reloaded, lost func()) error {
	for {
		var out controller.Event
		select {
		case <-ctx.Done():
			return nil
		case e := <-from:
			switch e.Kind {
			case sysunit.Resync:
				reloaded()
				out.Kind = controller.Resync
				for _, s := range e.Units {
					out.Units = append(out.Units, fromStatus(s))
				}
			case sysunit.Changed:
				out.Kind, out.Unit = controller.Changed, fromStatus(e.Unit)
			case sysunit.Gone:
				out.Kind, out.Name = controller.Gone, e.Name
			default: // Lost: what is known holds until the next Resync
				lost()
				continue
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case to <- out:
		}
	}
}
