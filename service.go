package switcheroo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat/companion"
	"github.com/switcheroo/switcheroo/internal/nat/single"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Service is one that processes of this package, or of the original library,
// serve on this host.
type Service struct {
	Name      string
	Listen    []string // public endpoints
	Scope     Scope
	Processes []Process // the current one first, then from the newest to the oldest
}

// Process is one process of a service.
type Process struct {
	PID     int
	Port    int           // private
	Alive   bool          // it is still the process that installed the rules
	Current bool          // new connections go to it
	Told    bool          // it has been told to end
	Since   time.Duration // how long it has been no longer current, to the second; 0 if it is
}

// List returns the services of this host, sorted by name. Of o it needs
// Iptables, IP6tables, Backend and Log, if any.
func List(ctx context.Context, o Options) ([]Service, error) {
	tools, err := o.tools(ctx)
	if err != nil {
		return nil, fmt.Errorf("switcheroo: %w", err)
	}
	states, err := single.Services(ctx, tools)
	if err != nil {
		return nil, fmt.Errorf("switcheroo: %w", err)
	}
	var all []Service
	for _, name := range slices.Sorted(maps.Keys(states)) {
		all = append(all, newService(ctx, name, states[name]))
	}
	return all, nil
}

func newService(ctx context.Context, name string, st single.State) Service {
	s := Service{Name: name}
	describe := func(scope nat.Scope, targets []nat.Target) {
		s.Scope |= Scope(scope)
		for _, t := range targets {
			if e := t.Endpoint.String(); !slices.Contains(s.Listen, e) {
				s.Listen = append(s.Listen, e)
			}
		}
	}
	if current, found := st.Find(st.Current); found {
		describe(current.Scope, current.Targets)
	}
	for _, o := range st.Originals {
		describe(o.Scope, o.Targets)
		_, err := identify(ctx, o)
		s.Processes = append(s.Processes, Process{PID: o.PID, Port: int(o.Port), Alive: err == nil, Current: st.Current == ""})
	}
	for _, g := range st.Generations {
		alive, _ := isAlive(g.PID, g.Start)
		p := Process{
			PID: g.PID, Port: int(g.Port), Alive: alive, Current: g.ID == st.Current, Told: g.Told,
			Since: time.Duration(g.Since()) * time.Second,
		}
		if p.Current {
			s.Processes = slices.Insert(s.Processes, 0, p)
		} else {
			s.Processes = append(s.Processes, p)
		}
	}
	return s
}

// Cleanup removes every rule of the service o.Name: from here on its clients are
// refused. Processes are left alone. Of the rest of o it needs what List needs.
// In a process that was handed its listener (LISTEN_FDS) it does nothing: there
// the rules are the daemon's.
func Cleanup(ctx context.Context, o Options) error {
	if anyPassed() {
		return nil
	}
	if err := cleanup(ctx, o); err != nil {
		return fmt.Errorf("switcheroo: clean up %q: %w", o.Name, err)
	}
	return nil
}

func cleanup(ctx context.Context, o Options) error {
	if err := single.CheckName(o.Name); err != nil {
		return err
	}
	tools, err := o.tools(ctx)
	if err != nil {
		return err
	}
	path, err := lockPath("service-" + nat.Key(o.Name))
	if err != nil {
		return err
	}
	l, err := acquire(ctx, path)
	if err != nil {
		return err
	}
	defer l.Release()
	rules := single.New(o.Name, tools)
	st, err := rules.Read(ctx)
	if err != nil {
		return err
	}
	if err := writeMemory(path, nobody); err != nil { // before: they look at once
		return err
	}
	if err := rules.Remove(ctx, st); err != nil {
		return err
	}
	// Without the privilege there is no table either, unless another user's
	// process of the same service had it.
	table, err := companion.Open(ctx, companion.Options{Log: o.Log, Name: tableName(o.Name), Shared: true})
	if err != nil {
		return nil
	}
	defer table.Close()
	return table.Remove(ctx)
}
