package controller

import (
	"cmp"
	"slices"

	"github.com/switcheroo/switcheroo/internal/config"
)

// effective returns the settings in force, by unit: the valid ones, less those
// that claim an endpoint which another service has. Who has the traffic has
// the better claim, then who runs.
func (s *settings) effective(state *State, units map[string]Unit) map[string]*config.Instance {
	rank := func(in *config.Instance) int {
		svc := state.Services[in.Service]
		switch {
		case svc == nil || svc.serving() == nil:
			if units[in.Unit].up() {
				return 2
			}
			return 3
		case svc.Current.Unit == in.Unit:
			return 0
		}
		return 1
	}
	var claims []*config.Instance
	for _, unit := range sortedKeys(s.valid) {
		claims = append(claims, s.valid[unit])
	}
	slices.SortStableFunc(claims, func(a, b *config.Instance) int { return cmp.Compare(rank(a), rank(b)) })

	conflicts := config.Conflicts(claims)
	s.tellConflicts(conflicts)
	refused := map[string]bool{}
	for _, c := range conflicts {
		refused[c.Refused.Unit] = true
	}
	// Who is refused keeps what it had, if nobody else has that.
	for i, in := range claims {
		if had := s.force[in.Unit]; refused[in.Unit] && had != nil {
			claims[i] = had
		}
	}
	clear(refused)
	for _, c := range config.Conflicts(claims) {
		refused[c.Refused.Unit] = true
	}
	force := map[string]*config.Instance{}
	for _, in := range claims {
		if !refused[in.Unit] {
			force[in.Unit] = in
		}
	}
	s.force = force
	return force
}

// tellConflicts logs each conflict once while it lasts.
func (s *settings) tellConflicts(conflicts []config.Conflict) {
	var now []string
	for _, c := range conflicts {
		message := c.Err().Error()
		now = append(now, message)
		if !slices.Contains(s.clash, message) {
			s.log.Error("configuration error", "unit", c.Refused.Unit, "error", message)
		}
	}
	s.clash = now
}
