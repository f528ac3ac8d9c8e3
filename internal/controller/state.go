package controller

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// State is what neither the kernel's rules nor systemd can tell a daemon that
// comes back: which activations are being seen out and how far they are, and
// which are not to have the traffic. Times are CLOCK_MONOTONIC, as systemd's.
type State struct {
	Services map[string]*Service `json:"services"`
	// Reserved are the private ports that units were given, by unit.
	Reserved map[string]*Reservation `json:"reserved,omitempty"`
	// LastPort is the last one that was given.
	LastPort uint16 `json:"last_port,omitempty"`
}

// Service is one public name.
type Service struct {
	// Current is the activation that has the traffic, or had it last.
	Current *Activation `json:"current,omitempty"`
	// Down: Current has ended, and no rule points at it any more.
	Down bool `json:"down,omitempty"`
	// ByBoot: Current was chosen because it was current before the reboot.
	ByBoot bool `json:"by_boot,omitempty"`
	// Before is the unit that had the traffic before Current, if going back to
	// it makes sense.
	Before string `json:"before,omitempty"`
	// Old are the earlier ones that are still there, the newest first.
	Old []*Retired `json:"old,omitempty"`
	// Pause: new connections wait. nil: they do not.
	Pause *Pause `json:"-"`
	// Refused maps InvocationIDs that did not get the traffic to why.
	Refused map[string]Refusal `json:"refused,omitempty"`
}

// Activation is one start of an instance that has had the traffic.
type Activation struct {
	Unit     string          `json:"unit"`
	ID       string          `json:"invocation"`
	ReadyAt  time.Duration   `json:"ready_at"`
	Since    time.Duration   `json:"since"` // in its present role
	Targets  []nat.Target    `json:"targets"`
	Instance config.Instance `json:"instance"` // as it was last valid
	// Lasting: its listeners are systemd's, and outlive it.
	Lasting bool `json:"lasting,omitempty"`
	// Found: Targets are those of rules that were found, perhaps not all.
	Found bool `json:"found,omitempty"`
}

// Retired is an activation that new connections no longer go to.
type Retired struct {
	Activation
	StandbyUntil time.Duration `json:"standby_until"`
	Due          bool          `json:"due,omitempty"`      // by order: not kept warm
	Rejected     bool          `json:"rejected,omitempty"` // never to have the traffic again
	Why          string        `json:"why,omitempty"`      // of Rejected
	QuiescedAt   time.Duration `json:"quiesced_at,omitempty"`
	Promoting    bool          `json:"promoting,omitempty"` // recorded before enablement is moved
	Promoted     bool          `json:"promoted,omitempty"`  // enablement has followed the switch
	Drained      bool          `json:"drained,omitempty"`
	Stopping     bool          `json:"stopping,omitempty"` // recorded before StopUnit is called
	Ended        bool          `json:"ended,omitempty"`    // it runs no more
}

// Refusal says why an activation was not switched to.
type Refusal struct {
	Unit   string `json:"unit"`
	Reason string `json:"reason"`
	// Asked is what its unit file said then; another text is another try.
	Asked config.Instance `json:"asked"`
	At    time.Duration   `json:"at"`    // the last time
	Tries int             `json:"tries"` // how often so far
	// Passing: the reason is one that passes, so it is tried again even while
	// something else serves.
	Passing bool `json:"passing,omitempty"`
}

// ports returns the private ports of a, each once.
func (a *Activation) ports() []uint16 {
	var ports []uint16
	for _, t := range a.Targets {
		ports = append(ports, t.Port)
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// public returns those of a's private ports that are its public ones: of a
// server from before there were redirects.
func (a *Activation) public() []uint16 {
	var ports []uint16
	for _, t := range a.Targets {
		if t.Port == t.Endpoint.Port {
			ports = append(ports, t.Port)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// redirect returns the rules that give a the traffic.
func (a *Activation) redirect() nat.Redirect {
	return nat.Redirect{
		Service:    a.Instance.Service,
		Activation: a.ID,
		Scope:      nat.Scope(a.Instance.Scope),
		Targets:    a.Targets,
	}
}

// serving returns the current activation if rules point at it.
func (s *Service) serving() *Activation {
	if s.Down {
		return nil
	}
	return s.Current
}

// old returns the entry of the activation id, or nil.
func (s *Service) old(id string) *Retired {
	for _, o := range s.Old {
		if o.ID == id {
			return o
		}
	}
	return nil
}

// drop removes the entry of the activation id.
func (s *Service) drop(id string) {
	s.Old = slices.DeleteFunc(s.Old, func(o *Retired) bool { return o.ID == id })
}

// retire adds o to the old ones.
func (s *Service) retire(o *Retired) {
	s.Old = slices.DeleteFunc(s.Old, func(x *Retired) bool { return x.ID == o.ID || x.Ended && x.Unit == o.Unit })
	s.Old = append(s.Old, o)
	slices.SortStableFunc(s.Old, func(x, y *Retired) int { return cmp.Compare(y.ReadyAt, x.ReadyAt) })
}

// refuse adds to the refused ones, and returns what was known of it before.
func (s *Service) refuse(id string, r Refusal) (before Refusal) {
	before = s.Refused[id]
	r.Tries = before.Tries + 1
	if s.Refused == nil {
		s.Refused = map[string]Refusal{}
	}
	s.Refused[id] = r
	return before
}

// service returns the entry of name, made if it is missing.
func (s *State) service(name string) *Service {
	if s.Services[name] == nil {
		s.Services[name] = &Service{}
	}
	return s.Services[name]
}

// activation returns the newest activation of unit that State names, the
// current one of its service first; nil if there is none to be looked after.
func (s *State) activation(unit string) *Activation {
	var newest *Activation
	for _, svc := range s.Services {
		if cur := svc.serving(); cur != nil && cur.Unit == unit {
			return cur
		}
		for _, o := range svc.Old {
			if o.Unit == unit && !o.Ended && (newest == nil || o.ReadyAt > newest.ReadyAt) {
				newest = &o.Activation
			}
		}
	}
	return newest
}

// units returns the units of all activations that are to be looked after.
func (s *State) units() []string {
	var units []string
	for _, svc := range s.Services {
		if cur := svc.serving(); cur != nil {
			units = append(units, cur.Unit)
		}
		for _, o := range svc.Old {
			if !o.Ended {
				units = append(units, o.Unit)
			}
		}
	}
	return units
}

// instance returns what was last valid for unit, as far as State tells.
func (s *State) instance(unit string) *config.Instance {
	for _, svc := range s.Services {
		if cur := svc.Current; cur != nil && cur.Unit == unit {
			in := cur.Instance
			return &in
		}
	}
	if a := s.activation(unit); a != nil {
		in := a.Instance
		return &in
	}
	return nil
}

// rules returns what the kernel shall hold.
func (s *State) rules() nat.Rules {
	var rules nat.Rules
	public := map[uint16]bool{}
	guarded := map[uint16]bool{} // every private port, and whether it is
	guard := func(a *Activation) {
		for _, t := range a.Targets {
			guarded[t.Port] = guarded[t.Port] || a.Instance.Guard
		}
	}
	for _, name := range sortedKeys(s.Services) {
		svc := s.Services[name]
		if cur := svc.serving(); cur != nil {
			rules.Redirects = append(rules.Redirects, cur.redirect())
			for _, t := range cur.Targets {
				public[t.Endpoint.Port] = true
			}
		}
		switch cur := svc.Current; {
		case cur != nil && !svc.Down:
			guard(cur)
		case cur != nil: // anybody may have its port, but no connection a stale entry
			for _, p := range cur.ports() {
				guarded[p] = guarded[p] || false
			}
		}
		for _, o := range svc.Old {
			if !o.Ended {
				guard(&o.Activation)
			}
		}
	}
	for _, name := range sortedKeys(s.Services) {
		if h := s.hold(name); h != nil {
			rules.Holds = append(rules.Holds, *h)
		}
	}
	rules.Private = sortedKeys(guarded)
	for _, p := range rules.Private {
		if guarded[p] && !public[p] {
			rules.Guarded = append(rules.Guarded, p)
		}
	}
	return rules
}

// clone returns a copy that can be changed without changing s.
func (s *State) clone() *State {
	next := &State{Services: make(map[string]*Service, len(s.Services)), LastPort: s.LastPort}
	for unit, r := range s.Reserved {
		if next.Reserved == nil {
			next.Reserved = make(map[string]*Reservation, len(s.Reserved))
		}
		next.Reserved[unit] = r.clone()
	}
	for name, svc := range s.Services {
		n := *svc
		if svc.Current != nil {
			cur := *svc.Current
			n.Current = &cur
		}
		n.Old = make([]*Retired, len(svc.Old))
		for i, o := range svc.Old {
			old := *o
			n.Old[i] = &old
		}
		n.Refused = maps.Clone(svc.Refused)
		if svc.Pause != nil {
			pause := *svc.Pause
			n.Pause = &pause
		}
		next.Services[name] = &n
	}
	return next
}

func sortedKeys[K interface{ ~string | ~uint16 }, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
