package controller

import (
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
}

// Service is one public name.
type Service struct {
	// Current is the activation that has the traffic, or had it last.
	Current *Activation `json:"current,omitempty"`
	// Down: Current has ended, and no rule points at it any more.
	Down bool `json:"down,omitempty"`
	// ByBoot: Current was chosen because it was current before the reboot.
	ByBoot bool `json:"by_boot,omitempty"`
	// Old are the earlier ones that are still there, the newest first.
	Old []*Retired `json:"old,omitempty"`
	// Crashed are the units of old ones that ended by themselves. If systemd
	// brings one back, it is stopped.
	Crashed []string `json:"crashed,omitempty"`
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
}

// Retired is an activation that new connections no longer go to.
type Retired struct {
	Activation
	StandbyUntil time.Duration `json:"standby_until"`
	Rejected     bool          `json:"rejected,omitempty"` // never to have the traffic again
	Why          string        `json:"why,omitempty"`      // of Rejected
	QuiescedAt   time.Duration `json:"quiesced_at,omitempty"`
	Promoting    bool          `json:"promoting,omitempty"` // recorded before enablement is moved
	Promoted     bool          `json:"promoted,omitempty"`  // enablement has followed the switch
	Drained      bool          `json:"drained,omitempty"`
	Stopping     bool          `json:"stopping,omitempty"` // recorded before StopUnit is called
}

// Refusal says why an activation was not switched to.
type Refusal struct {
	Unit   string `json:"unit"`
	Reason string `json:"reason"`
	// Asked is what its unit file said then; another text is another try.
	Asked string `json:"asked"`
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

// service returns the entry of name, made if it is missing.
func (s *State) service(name string) *Service {
	if s.Services == nil {
		s.Services = map[string]*Service{}
	}
	if s.Services[name] == nil {
		s.Services[name] = &Service{}
	}
	return s.Services[name]
}

// rules returns what the kernel shall hold.
func (s *State) rules() nat.Rules {
	var rules nat.Rules
	public := map[uint16]bool{}
	guarded := map[uint16]bool{}
	guard := func(a *Activation) {
		for _, p := range a.ports() {
			guarded[p] = guarded[p] || a.Instance.Guard
		}
	}
	for _, name := range sortedKeys(s.Services) {
		svc := s.Services[name]
		if cur := svc.serving(); cur != nil {
			rules.Redirects = append(rules.Redirects, cur.redirect())
			for _, t := range cur.Targets {
				public[t.Endpoint.Port] = true
			}
			guard(cur)
		}
		for _, o := range svc.Old {
			guard(&o.Activation)
		}
	}
	for _, p := range sortedKeys(guarded) {
		if guarded[p] && !public[p] {
			rules.Guarded = append(rules.Guarded, p)
		}
	}
	return rules
}
