package controller

import (
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// world is all that a plan is made from.
type world struct {
	Now         time.Duration               // CLOCK_MONOTONIC
	Families    nat.Family                  // that redirects can serve on this host
	LastCurrent map[string]string           // service to unit, before this boot
	Units       map[string]Unit             // those that carry the section, or that State names
	Settings    map[string]*config.Instance // what their files ask for, by unit
	Members     map[string][]string         // the units of each service in Settings, sorted
	Released    map[string]bool             // units whose section was removed
	State       *State
	Prepared    map[string]preparation   // by InvocationID
	Unhealthy   map[string]string        // current ones that fail their probe: why
	Deaf        map[string]bool          // older ones found without listener
	Stopped     map[string]time.Duration // old ones: when StopUnit was last called
	Asked       map[string]rollback      // orders of operators, by service
	Drains      map[string]bool          // current ones that are not to be kept warm once they are old
	Expected    map[string]time.Duration // activations that wait in their ExecStartPost=, and since when
	Kept        map[string][]uint16      // ports with a copy of their listener, by unit
	Running     map[task]bool
}

// preparation is the outcome of looking at a candidate.
type preparation struct {
	Unit    string
	Asked   config.Instance // the settings it was made for
	At      time.Duration   // when it was done
	Targets []nat.Target
	Lasting bool // all listeners are systemd's own, and outlive it
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
		Asked:       map[string]rollback{},
		Drains:      map[string]bool{},
		Expected:    map[string]time.Duration{},
		Running:     map[task]bool{},
	}
}

// prune drops what was known of activations that are no more.
func (w *world) prune() {
	for name, svc := range w.State.Services {
		for id, r := range svc.Refused {
			if w.Units[r.Unit].Invocation != id {
				delete(svc.Refused, id)
			}
		}
		if svc.Current == nil && len(svc.Old) == 0 && len(svc.Refused) == 0 {
			delete(w.State.Services, name)
		}
	}
	for id, p := range w.Prepared {
		if w.Units[p.Unit].Invocation != id {
			delete(w.Prepared, id)
		}
	}
	for name, order := range w.Asked {
		svc := w.State.Services[name]
		if svc == nil || svc.serving() == nil || svc.Current.ID != order.From {
			delete(w.Asked, name)
		} else if w.Now > order.Until {
			delete(w.Asked, name)
			delete(w.Drains, order.From) // it stays current
		}
	}
	if len(w.Unhealthy)+len(w.Deaf)+len(w.Stopped)+len(w.Drains)+len(w.Expected) == 0 {
		return
	}
	known := map[string]bool{}
	for _, svc := range w.State.Services {
		if svc.Current != nil {
			known[svc.Current.ID] = true
		}
	}
	keep(w.Drains, known)
	for _, svc := range w.State.Services {
		for _, o := range svc.Old {
			known[o.ID] = true
		}
	}
	keep(w.Unhealthy, known)
	keep(w.Deaf, known)
	keep(w.Stopped, known)
	for _, u := range w.Units {
		known[u.Invocation] = true
	}
	keep(w.Expected, known)
}

// keep deletes from m what is not in known.
func keep[V any](m map[string]V, known map[string]bool) {
	for id := range m {
		if !known[id] {
			delete(m, id)
		}
	}
}
