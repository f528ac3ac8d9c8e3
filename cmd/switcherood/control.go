package main

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/control"
	"github.com/switcheroo/switcheroo/internal/controller"
	"github.com/switcheroo/switcheroo/internal/drain"
	"github.com/switcheroo/switcheroo/internal/sockdiag"
	sysunit "github.com/switcheroo/switcheroo/internal/unit"
)

// controlUnits is systemd as the control socket sees it.
type controlUnits struct {
	client *sysunit.Client
	world  *controller.Controller
}

func (u controlUnits) Start(ctx context.Context, unit string) error { return u.client.Start(ctx, unit) }

func (u controlUnits) Carries(ctx context.Context, unit string) (bool, error) {
	return u.client.Carries(ctx, unit)
}

// Check looks at files or, without any, at all templates and loaded units. Two
// services that claim one port are a mistake of neither file alone, and are
// found among all units only.
func (u controlUnits) Check(ctx context.Context, unit string, files []api.File) (*api.Checked, error) {
	found := &api.Checked{Units: []string{}, Findings: []api.Finding{}}
	if len(files) > 0 {
		given := make([]config.File, len(files))
		for i, f := range files {
			given[i] = config.File{Path: f.Name, Data: []byte(f.Text)}
		}
		check(found, unit, given)
		return found, nil
	}
	templates, err := u.client.Templates(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range templates {
		check(found, t.Name, fromFiles(t.Files))
	}
	view, err := u.world.View(ctx)
	if err != nil {
		return nil, err
	}
	mistakes := map[string]bool{}
	for _, f := range found.Findings {
		mistakes[f.Message] = true
	}
	for _, unit := range slices.Sorted(maps.Keys(view.Mistakes)) {
		for _, message := range view.Mistakes[unit] {
			if !mistakes[message] {
				found.Findings = append(found.Findings, api.Finding{Unit: unit, Message: message})
			}
		}
	}
	for _, svc := range view.Services {
		for _, in := range svc.Instances {
			if !slices.Contains(found.Units, in.Unit) {
				found.Units = append(found.Units, in.Unit)
			}
		}
	}
	return found, nil
}

// check adds what is wrong with the files of one unit.
func check(found *api.Checked, unit string, files []config.File) {
	instance, err := config.ParseInstance(unit, files)
	var all config.Errors
	switch {
	case errors.As(err, &all):
		for _, e := range all {
			found.Findings = append(found.Findings, api.Finding{Unit: unit, Message: e.Error()})
		}
	case err != nil:
		found.Findings = append(found.Findings, api.Finding{Unit: unit, Message: err.Error()})
	case instance == nil:
		return
	}
	found.Units = append(found.Units, unit)
}

func fromFiles(files []sysunit.File) []config.File {
	out := make([]config.File, len(files))
	for i, f := range files {
		out[i] = config.File{Path: f.Path, Data: f.Data}
	}
	return out
}

// controlSockets is the kernel's TCP as the control socket sees it.
type controlSockets struct{}

func (controlSockets) Connections(ctx context.Context, ports []uint16) ([]control.Socket, error) {
	found, err := sockdiag.Details(ctx, ports...)
	all := make([]control.Socket, len(found))
	for i, d := range found {
		all[i] = control.Socket{Peer: d.Remote, Port: d.Local.Port(), State: d.State.String(), Accepted: d.Accepted(),
			Unread: d.Unread, Unsent: d.Unacked, Received: d.Received, Sent: d.Sent, Idle: d.Idle}
	}
	return all, err
}

func (controlSockets) Count(ctx context.Context, ports []uint16) (map[uint16]control.Count, error) {
	found, err := sockdiag.Tallies(ctx, ports...)
	counts := make(map[uint16]control.Count, len(found))
	for port, t := range found {
		counts[port] = control.Count{Open: t.Accepted, Queued: t.Queued, HalfOpen: t.HalfOpen}
	}
	return counts, err
}

func (controlSockets) Tracked() (entries, most int, err error) {
	return drain.Use()
}
