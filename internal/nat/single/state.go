package single

import (
	"cmp"
	"maps"
	"slices"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// State is what the kernel holds of one service.
type State struct {
	Current     string       // id of the generation that new connections go to; "" if none
	Generations []Generation // the newest first
	Originals   []Original

	service, key string
	tables       []table // one for each tool
}

// newState picks from the tables what is the service's. The first family that
// leads anywhere says which generation is current: they agree unless somebody
// died between two commands.
func newState(service string, tables []table) State {
	s := State{service: service, key: nat.Key(service), tables: tables}
	byID := map[string]Generation{}
	for _, t := range tables {
		if s.Current == "" {
			s.Current = t.current(s.key)
		}
		for id, g := range t.generations(s.key) {
			have, known := byID[id]
			if !known || have.PID == 0 {
				g.Told, g.Signalled, g.Retired = g.Told || have.Told, g.Signalled || have.Signalled, max(g.Retired, have.Retired)
				g.Targets = append(have.Targets, g.Targets...)
				byID[id] = g
				continue
			}
			have.Told, have.Signalled, have.Retired = have.Told || g.Told, have.Signalled || g.Signalled, max(have.Retired, g.Retired)
			have.Targets = append(have.Targets, g.Targets...)
			byID[id] = have
		}
		s.addOriginals(t)
	}
	for _, g := range slices.Collect(maps.Values(byID)) {
		g.Targets = merge(g.Targets)
		s.Generations = append(s.Generations, g)
	}
	slices.SortFunc(s.Generations, func(a, b Generation) int {
		return cmp.Or(cmp.Compare(b.Number, a.Number), cmp.Compare(a.ID, b.ID))
	})
	for i := range s.Originals {
		s.Originals[i].Targets = merge(s.Originals[i].Targets)
	}
	return s
}

func (s *State) addOriginals(t table) {
	for _, l := range t.originals(s.service) {
		_, o, _ := parseOriginal(l.comment)
		i := slices.IndexFunc(s.Originals, func(have Original) bool { return have.PID == o.PID && have.Port == o.Port })
		if i < 0 {
			i = len(s.Originals)
			s.Originals = append(s.Originals, o)
		}
		for _, b := range bases {
			if b.chain == l.chain {
				s.Originals[i].Scope |= b.scope
			}
		}
		if l.dport != 0 {
			s.Originals[i].Targets = append(s.Originals[i].Targets, nat.Target{Endpoint: l.endpoint(), Port: o.Port, Families: t.family})
		}
	}
}

// merge sorts targets and joins what differs in its families alone.
func merge(targets []nat.Target) []nat.Target {
	type route struct {
		e nat.Endpoint
		p uint16
	}
	families := map[route]nat.Family{}
	for _, t := range targets {
		families[route{t.Endpoint, t.Port}] |= t.Families
	}
	var merged []nat.Target
	for r, f := range families {
		merged = append(merged, nat.Target{Endpoint: r.e, Port: r.p, Families: f})
	}
	slices.SortFunc(merged, func(a, b nat.Target) int {
		return cmp.Or(a.Endpoint.Addr.Compare(b.Endpoint.Addr), cmp.Compare(a.Endpoint.Port, b.Endpoint.Port), cmp.Compare(a.Port, b.Port))
	})
	return merged
}

// Find returns the generation with the id.
func (s State) Find(id string) (Generation, bool) {
	i := slices.IndexFunc(s.Generations, func(g Generation) bool { return g.ID == id })
	if i < 0 {
		return Generation{}, false
	}
	return s.Generations[i], true
}

// Empty reports whether there is nothing of the service.
func (s State) Empty() bool {
	for _, t := range s.tables {
		if _, found := t.chains[serviceChain(s.key)]; found || len(t.hooks(serviceChain(s.key))) > 0 {
			return false
		}
	}
	return len(s.Generations) == 0 && len(s.Originals) == 0
}

// next is the number for a new generation.
func (s State) next() int {
	if len(s.Generations) == 0 {
		return 1
	}
	return s.Generations[0].Number + 1
}

// Ports are the private ports of all generations.
func (s State) Ports() []uint16 {
	var ports []uint16
	for _, g := range s.Generations {
		if g.Port != 0 {
			ports = append(ports, g.Port)
		}
	}
	return ports
}

// LedTo returns the private ports that rules of others lead to: clients come
// there even if the process is gone.
func (s State) LedTo() map[int]bool {
	ports := map[int]bool{}
	for _, t := range s.tables {
		for chain, rules := range t.chains {
			if key, id, ours := parseChain(chain); ours && id != "" && key == s.key[:shortLen] {
				continue
			}
			for _, l := range rules {
				ports[int(l.toPort)] = true
			}
		}
		for _, l := range t.builtin {
			if name, _, ok := parseOriginal(l.comment); !ok || name != s.service {
				ports[int(l.toPort)] = true
			}
		}
	}
	return ports
}

// Claims returns what others claim of the targets.
func (s State) Claims(targets []nat.Target, scope nat.Scope) []Claim {
	var others []Claim
	for _, t := range s.tables {
		for _, c := range t.claims() {
			if c.Owner != s.service && c.Overlaps(targets, scope) {
				others = append(others, c)
			}
		}
	}
	return others
}
