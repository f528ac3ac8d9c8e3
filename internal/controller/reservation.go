package controller

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// Reservation is what one unit has been given to listen on: it, and nobody
// else, until it has ended for good.
type Reservation struct {
	// For is the InvocationID of the activation that asked last; "" if the unit
	// did not run.
	For string `json:"for,omitempty"`
	// At is when it asked.
	At time.Duration `json:"at"`
	// Ports are private ports by endpoint name, "" for the unnamed.
	Ports map[string]uint16 `json:"ports"`
}

func (r *Reservation) clone() *Reservation {
	next := *r
	next.Ports = maps.Clone(r.Ports)
	return &next
}

// keyOf is what the copy of the listener of one endpoint of a unit is called
// where it is kept. The port is part of it: while a listener is replaced by one
// on another port, both are there.
func keyOf(unit, name string, port uint16) string {
	sum := sha256.Sum256([]byte(unit + "\x00" + name + "\x00" + string([]byte{byte(port >> 8), byte(port)})))
	return hex.EncodeToString(sum[:16])
}

// endpointNames returns the names of in's endpoints in the order of Listen=,
// each once, and the endpoints of each.
func endpointNames(in *config.Instance) (names []string, of map[string][]config.Listen) {
	of = map[string][]config.Listen{}
	for _, l := range in.Listen {
		if of[l.Name] == nil {
			names = append(names, l.Name)
		}
		of[l.Name] = append(of[l.Name], l)
	}
	return names, of
}

// used returns the ports that nobody may be given: those that are public, that
// instances listen on or their files name, and those that are reserved.
func (c *Controller) used() map[uint16]bool {
	used := map[uint16]bool{}
	targets := func(all []nat.Target) {
		for _, t := range all {
			used[t.Port], used[t.Endpoint.Port] = true, true
		}
	}
	for _, svc := range c.world.State.Services {
		if svc.Current != nil {
			targets(svc.Current.Targets)
		}
		for _, o := range svc.Old {
			targets(o.Targets)
		}
	}
	for _, in := range c.settings.valid {
		for _, l := range in.Listen {
			used[l.Port] = true
		}
		for _, p := range in.Ports {
			used[p] = true
		}
	}
	for _, r := range c.world.State.Reserved {
		for _, p := range r.Ports {
			used[p] = true
		}
	}
	return used
}

// choose returns a port that is neither in used nor in use. It goes round the
// range: what was just given back may still have packets under way.
func (c *Controller) choose(used map[uint16]bool) (uint16, error) {
	r := c.ports
	last := c.world.State.LastPort
	if !r.Contains(last) {
		last = r.Last
	}
	for _, quiet := range []bool{true, false} {
		for range int(r.Last) - int(r.First) + 1 {
			if last++; last > r.Last || last < r.First {
				last = r.First
			}
			if !used[last] && c.Keeper.Free(last, quiet) {
				c.world.State.LastPort = last
				return last, nil
			}
		}
	}
	return 0, ErrNoPorts
}

// kept reports whether copies of a's listeners, all of them, are kept.
func (w *world) kept(a *Activation) bool {
	ports := a.ports()
	return len(ports) > 0 && !slices.ContainsFunc(ports, func(p uint16) bool { return !slices.Contains(w.Kept[a.Unit], p) })
}

// waits reports whether what clients are led to outlives the process that served
// them, and is on its way to be served again: the clients wait in its queue.
func (w *world) waits(svc *Service, cur *Activation, u Unit) bool {
	if !cur.Lasting && !w.kept(cur) || !u.returning() {
		return false
	}
	if in := w.Settings[cur.Unit]; in == nil || in.Service != cur.Instance.Service {
		return false
	}
	_, refused := svc.Refused[u.Invocation]
	return !refused || u.Invocation == cur.ID
}

// mendReserved takes out reservations that no daemon would have made, and
// returns in words which.
func (s *State) mendReserved() (told []string) {
	seen := map[uint16]bool{}
	for _, unit := range sortedKeys(s.Reserved) {
		r := s.Reserved[unit]
		sound := r != nil && unit != "" && len(r.Ports) > 0
		if sound {
			for _, p := range r.Ports {
				sound = sound && p != 0 && !seen[p]
				seen[p] = true
			}
		}
		if !sound {
			told = append(told, "the private ports of "+unit)
			delete(s.Reserved, unit)
		}
	}
	return told
}
