package controller

import (
	"cmp"
	"slices"

	"github.com/switcheroo/switcheroo/internal/config"
)

// effective returns the settings in force, by unit: the valid ones, less those
// that claim an endpoint which another service has. What has the traffic has
// the best claim, then other units of a service that has some, then who runs;
// of equals, who had it before. It also returns the units by service, sorted.
func (s *settings) effective(state *State, units map[string]Unit) (map[string]*config.Instance, map[string][]string) {
	if !s.stale {
		return s.force, s.units
	}
	s.stale = false
	var held, wanted []*config.Instance
	for _, name := range sortedKeys(state.Services) {
		cur := state.Services[name].serving()
		if cur == nil {
			continue
		}
		// One that belongs to another service now is about to give it up.
		if in := s.valid[cur.Unit]; in == nil || in.Service == name {
			held = append(held, &cur.Instance)
		}
	}
	rank := func(in *config.Instance) (rank int) {
		switch svc := state.Services[in.Service]; {
		case svc != nil && svc.serving() != nil:
		case units[in.Unit].up():
			rank = 2
		default:
			rank = 4
		}
		if s.force[in.Unit] != in {
			rank++
		}
		return rank
	}
	for _, unit := range sortedKeys(s.valid) {
		wanted = append(wanted, s.valid[unit])
	}
	slices.SortStableFunc(wanted, func(a, b *config.Instance) int { return cmp.Compare(rank(a), rank(b)) })

	refused, conflicts := refusals(held, wanted)
	s.tellConflicts(conflicts)
	if len(refused) > 0 {
		// Who is refused keeps what it had, if nobody else has that.
		for i, in := range wanted {
			if !refused[in] {
				continue
			}
			if had := cmp.Or(s.force[in.Unit], state.instance(in.Unit)); had != nil {
				wanted[i] = had
			}
		}
		refused, _ = refusals(held, wanted)
	}
	force := make(map[string]*config.Instance, len(wanted))
	for _, in := range wanted {
		if !refused[in] {
			force[in.Unit] = in
		}
	}
	s.force, s.units = force, map[string][]string{}
	for _, unit := range sortedKeys(force) {
		service := force[unit].Service
		s.units[service] = append(s.units[service], unit)
	}
	return s.force, s.units
}

// refusals returns which of wanted have no right to what they claim, held
// having the first, and why.
func refusals(held, wanted []*config.Instance) (map[*config.Instance]bool, []config.Conflict) {
	conflicts := config.Conflicts(slices.Concat(held, wanted))
	refused := map[*config.Instance]bool{}
	for _, c := range conflicts {
		refused[c.Refused] = true
	}
	return refused, conflicts
}

// tellConflicts logs each conflict once while it lasts, whichever unit of the
// other service it is that has the endpoint.
func (s *settings) tellConflicts(conflicts []config.Conflict) {
	now := map[string][]string{}
	s.claims = map[string][]string{}
	for _, c := range conflicts {
		unit, what := c.Refused.Unit, c.Listen.String()+" of "+c.Holder.Service
		now[unit] = append(now[unit], what)
		s.claims[unit] = append(s.claims[unit], c.Err().Error())
		if !slices.Contains(s.clash[unit], what) {
			s.misconfigured(unit, c.Err().Error())
		}
	}
	for _, unit := range sortedKeys(s.clash) {
		if s.valid[unit] != nil && now[unit] == nil {
			s.mended(unit)
		}
	}
	s.clash = now
}
