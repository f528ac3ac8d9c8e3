package controller

import (
	"fmt"
	"slices"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// mend takes out of a State that was read back what no daemon would have
// written: the file may be damaged, or another version's. It returns in words
// what it took out. What it leaves can be put into the kernel.
func (s *State) mend() []string {
	var told []string
	tell := func(what, service string) { told = append(told, fmt.Sprintf("%s of service %q", what, service)) }
	if s.Services == nil {
		s.Services = map[string]*Service{}
	}
	seen := map[string]bool{} // InvocationIDs
	sound := func(a *Activation, service string) bool {
		a.Instance.Service, a.Instance.Unit = service, a.Unit
		if a.Unit == "" || seen[a.ID] || valid(a.redirect()) != nil {
			return false
		}
		seen[a.ID] = true
		return true
	}
	for _, name := range sortedKeys(s.Services) {
		svc := s.Services[name]
		if svc == nil || name == "" {
			tell("the entry", name)
			delete(s.Services, name)
			continue
		}
		if svc.Current == nil {
			svc.Down = false
		} else if !sound(svc.Current, name) {
			tell("the current activation", name)
			svc.Current, svc.Down = nil, false
		}
		svc.Old = slices.DeleteFunc(svc.Old, func(o *Retired) bool {
			if o != nil && sound(&o.Activation, name) {
				return false
			}
			tell("an old activation", name)
			return true
		})
	}
	told = append(told, s.mendReserved()...)
	if s.rules().Validate() == nil {
		return told
	}
	// Two of them have the same endpoint.
	var rules []nat.Redirect
	for _, name := range sortedKeys(s.Services) {
		svc := s.Services[name]
		if svc.serving() == nil {
			continue
		}
		with := append(rules, svc.Current.redirect())
		if valid(with...) != nil {
			tell("the current activation", name)
			svc.Current = nil
			continue
		}
		rules = with
	}
	return told
}

func valid(redirects ...nat.Redirect) error { return nat.Rules{Redirects: redirects}.Validate() }
