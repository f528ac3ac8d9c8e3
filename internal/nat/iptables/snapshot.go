package iptables

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// snapshot is what table nat of one family holds of ours.
type snapshot struct {
	chains map[string][]rule // by name, without the built-in ones
	hooks  []hook            // in the built-in chains, in their order
	// pinned are our chains that rules of others lead to: they can be emptied
	// but not deleted. Each comes with one such rule, for a message.
	pinned map[string]string
}

// hook is a rule of ours in a built-in chain.
type hook struct {
	chain string
	pos   int    // from 1
	jump  string // where it leads: one of our chains
	spec  string // as iptables shows it, or we would write it, to delete it by
	rule  rule
}

// parseSave reads what `iptables-save -t nat` printed.
func parseSave(text string) (snapshot, error) {
	s := snapshot{chains: map[string][]rule{}, pinned: map[string]string{}}
	builtin := map[string]int{} // how many rules each has
	open := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
			// There are others of this kind that are no obstacle: "contains
			// incompatible base-chains", "iptables-legacy tables present".
			if strings.Contains(line, "`nat' is incompatible") {
				return snapshot{}, errIncompatible
			}
		case strings.HasPrefix(line, "*"):
			if line != "*nat" || open {
				return snapshot{}, fmt.Errorf("unexpected table %q", line)
			}
			open = true
		case line == "COMMIT":
			open = false
		case strings.HasPrefix(line, ":"):
			name, policy, _ := strings.Cut(line[1:], " ")
			if !strings.HasPrefix(policy, "-") {
				builtin[name] = 0
			} else if isOurs(name) {
				s.chains[name] = nil
			}
		case strings.HasPrefix(line, "-A "):
			chain, spec, _ := strings.Cut(line[len("-A "):], " ")
			if _, ours := s.chains[chain]; ours {
				s.chains[chain] = append(s.chains[chain], parseRule(spec))
				continue
			}
			n, isBuiltin := builtin[chain]
			if isBuiltin {
				n++
				builtin[chain] = n
			}
			if !strings.Contains(spec, chainPrefix) {
				continue // a host may have thousands that are none of ours
			}
			switch jump, comment := glance(spec); {
			case !isOurs(jump):
			case isBuiltin && comment == hookComment:
				s.hooks = append(s.hooks, hook{chain, n, jump, spec, parseRule(spec)})
			default:
				s.pinned[jump] = "-A " + chain + " " + spec
			}
		case line != "":
			return snapshot{}, fmt.Errorf("unexpected line %q", line)
		}
	}
	if open {
		return snapshot{}, errTruncated
	}
	return s, nil
}

// glance returns where a rule leads and what it is commented with, whatever
// else is in it.
func glance(spec string) (jump, comment string) {
	words, err := split(spec)
	if err != nil {
		return "", ""
	}
	for i, word := range words[:max(0, len(words)-1)] {
		switch word {
		case "-j", "-g":
			jump = words[i+1]
		case "--comment":
			comment = words[i+1]
		}
	}
	return jump, comment
}

// equal compares what is ours alone: neither the position of a hook nor the
// rules of others count.
func (s snapshot) equal(t snapshot) bool {
	sameHook := func(a, b hook) bool { return a.chain == b.chain && a.rule == b.rule }
	return maps.EqualFunc(s.chains, t.chains, slices.Equal) && slices.EqualFunc(s.hooks, t.hooks, sameHook)
}

// empty reports whether there is nothing of ours.
func (s snapshot) empty() bool {
	return len(s.chains) == 0 && len(s.hooks) == 0
}
