package controller

import (
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// world is all that a plan is made from.
type world struct {
	Now         time.Duration               // CLOCK_MONOTONIC
	LastCurrent map[string]string           // service to unit, before this boot
	Units       map[string]Unit             // those that carry the section, or that State names
	Settings    map[string]*config.Instance // what their files ask for, by unit
	Released    map[string]bool             // units whose section was removed
	State       *State
	Prepared    map[string]preparation   // by InvocationID
	Unhealthy   map[string]string        // current ones that fail their probe: why
	Deaf        map[string]bool          // older ones found without listener
	Stopped     map[string]time.Duration // old ones: when StopUnit was last called
	Running     map[task]bool
}

// preparation is the outcome of looking at a candidate.
type preparation struct {
	Asked   string        // the settings it was made for
	At      time.Duration // when it was done
	Targets []nat.Target
	AtBoot  bool // started by the boot, not by an operator
	Err     error
}

func newWorld() world {
	return world{
		LastCurrent: map[string]string{},
		Units:       map[string]Unit{},
		State:       &State{Services: map[string]*Service{}},
		Prepared:    map[string]preparation{},
		Unhealthy:   map[string]string{},
		Deaf:        map[string]bool{},
		Stopped:     map[string]time.Duration{},
		Running:     map[task]bool{},
	}
}

// prune drops what was known of activations that are no more.
func (w *world) prune() {
	alive := make(map[string]bool, len(w.Units))
	for _, u := range w.Units {
		alive[u.Invocation] = true
	}
	old := map[string]bool{}
	for name, svc := range w.State.Services {
		for id := range svc.Refused {
			if !alive[id] {
				delete(svc.Refused, id)
			}
		}
		for _, o := range svc.Old {
			old[o.ID] = true
		}
		if svc.Current == nil && len(svc.Old) == 0 && len(svc.Refused) == 0 {
			delete(w.State.Services, name)
		}
	}
	keep(w.Prepared, alive)
	keep(w.Unhealthy, alive)
	keep(w.Deaf, alive)
	keep(w.Stopped, old)
}

// keep deletes from m what is not in wanted.
func keep[V any](m map[string]V, wanted map[string]bool) {
	for id := range m {
		if !wanted[id] {
			delete(m, id)
		}
	}
}
