package single

import (
	"fmt"
	"strings"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// table is what table nat of one family holds of ours, of the daemon's and of
// the original's.
type table struct {
	family nat.Family
	chains map[string][]line // ours and the daemon's
	// builtin are the rules of PREROUTING and OUTPUT that lead to one of chains
	// or are the original's.
	builtin []line
}

// parseTable reads what "iptables -t nat -S" printed.
func parseTable(family nat.Family, text string) (table, error) {
	t := table{family: family, chains: map[string][]line{}}
	count := map[string]int{}
	for s := range strings.Lines(text) {
		s = strings.TrimRight(s, "\r\n")
		switch {
		case strings.HasPrefix(s, "-N "):
			if name := s[len("-N "):]; isOurs(name) {
				t.chains[name] = nil
			}
		case strings.HasPrefix(s, "-A "):
			chain, spec, _ := strings.Cut(s[len("-A "):], " ")
			count[chain]++
			_, ours := t.chains[chain]
			// A host may have thousands that are none of ours.
			if !ours && !(isBase(chain) && strings.Contains(spec, "SW")) {
				continue
			}
			l, err := parseLine(chain, count[chain], spec)
			if err != nil {
				return table{}, fmt.Errorf("unexpected line %q: %w", s, err)
			}
			if ours {
				t.chains[chain] = append(t.chains[chain], l)
			} else {
				t.builtin = append(t.builtin, l)
			}
		}
	}
	return t, nil
}

// isOurs reports whether a chain's name is one of ours or of the daemon's.
func isOurs(chain string) bool {
	return strings.HasPrefix(chain, chainPrefix) || strings.HasPrefix(chain, daemonPrefix)
}

func isBase(chain string) bool {
	for _, b := range bases {
		if b.chain == chain {
			return true
		}
	}
	return false
}

// hooks returns the rules that lead to the chain.
func (t table) hooks(chain string) []line {
	var hooks []line
	for _, l := range t.builtin {
		if l.jump == chain {
			hooks = append(hooks, l)
		}
	}
	return hooks
}

// originals returns the rules of the original's for the service.
func (t table) originals(service string) []line {
	var rules []line
	for _, l := range t.builtin {
		if name, _, ok := parseOriginal(l.comment); ok && name == service {
			rules = append(rules, l)
		}
	}
	return rules
}

// generations returns the chains of the service's generations by their ids, and
// what they say.
func (t table) generations(key string) map[string]Generation {
	all := map[string]Generation{}
	for chain, rules := range t.chains {
		short, id, ours := parseChain(chain)
		if !ours || id == "" || short != key[:shortLen] {
			continue
		}
		g := Generation{ID: id}
		for _, l := range rules {
			g.take(l.comment)
			if l.toPort != 0 {
				g.Targets = append(g.Targets, nat.Target{Endpoint: l.endpoint(), Port: l.toPort, Families: t.family})
			}
		}
		all[id] = g
	}
	return all
}

// current returns the id of the generation that the service's chain leads to:
// its first rule takes everything.
func (t table) current(key string) string {
	rules := t.chains[serviceChain(key)]
	if len(rules) == 0 {
		return ""
	}
	_, id, _ := parseChain(rules[0].jump)
	return id
}
