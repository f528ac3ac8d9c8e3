package iptables

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// diff returns the input of `iptables-restore --noflush` that makes have equal
// want: one commit, "" when there is nothing to do.
//
// Bases and their hooks stay once they are there, even if nothing leads through
// them: a hook that went and came back would have moved before the rules that
// the operator has put in front of it. Only diff to a nil layout removes them.
func diff(have snapshot, want layout) string {
	var s script
	if want != nil {
		want = maps.Clone(want)
		for _, b := range bases {
			if _, found := have.chains[b.name]; found && want[b.name] == nil {
				want[b.name] = []rule{}
			}
		}
	}
	var added, kept []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, found := have.chains[name]; found {
			kept = append(kept, name)
		} else {
			added = append(added, name)
			s.line(":%s - [0:0]", name)
		}
	}
	for _, name := range slices.Concat(added, kept) {
		s.edit(name, have.chains[name], want[name])
	}
	s.hooks(have.hooks, want)
	s.remove(have, want)
	if s.Len() == 0 {
		return ""
	}
	return "*nat\n" + s.String() + "COMMIT\n"
}

// script is the text between "*nat" and "COMMIT".
type script struct{ strings.Builder }

func (s *script) line(format string, args ...any) {
	fmt.Fprintf(s, format+"\n", args...)
}

// edit turns the rules of a chain of ours from have into want. Where both have
// a rule it replaces in place, so a switch is one -R. Numbers are safe here:
// nobody else writes into our chains, and if somebody does, the read-back shows
// it.
func (s *script) edit(chain string, have, want []rule) {
	first := 0
	for first < len(have) && first < len(want) && have[first] == want[first] {
		first++
	}
	have, want = have[first:], want[first:]
	rest := len(have)
	for len(have) > 0 && len(want) > 0 && have[len(have)-1] == want[len(want)-1] {
		have, want = have[:len(have)-1], want[:len(want)-1]
	}
	atEnd := len(have) == rest
	replaced := min(len(have), len(want))
	for i := range replaced {
		if have[i] != want[i] {
			s.line("-R %s %d %s", chain, first+i+1, want[i])
		}
	}
	for i, r := range want[replaced:] {
		if atEnd {
			s.line("-A %s %s", chain, r)
		} else {
			s.line("-I %s %d %s", chain, first+replaced+i+1, r)
		}
	}
	for range have[replaced:] {
		s.line("-D %s %d", chain, first+replaced+1)
	}
}

// hooks leaves one rule for each base in its built-in chain, and none
// elsewhere. The built-in chains are everybody's, so rules are deleted there by
// what they say and never by number. What replaces several, or an altered one,
// goes where the first of them is.
func (s *script) hooks(have []hook, want layout) {
	var insert []string
	keep := map[int]bool{} // by index in have
	for _, b := range bases {
		if _, wanted := want[b.name]; !wanted {
			continue
		}
		var found []int
		for i, h := range have {
			if h.chain == b.builtin {
				found = append(found, i)
			}
		}
		if len(found) == 1 && have[found[0]].rule == b.hook() {
			keep[found[0]] = true
			continue
		}
		pos := 1
		if len(found) > 0 {
			pos = have[found[0]].pos
		}
		insert = append(insert, fmt.Sprintf("-I %s %d %s", b.builtin, pos, b.hook()))
	}
	for i, h := range have {
		if !keep[i] {
			s.line("-D %s %s", h.chain, h.spec)
		}
	}
	for _, line := range insert {
		s.line("%s", line)
	}
}

// remove deletes the chains of ours that are not wanted. One that somebody
// else's rule leads to cannot be deleted, and is emptied.
func (s *script) remove(have snapshot, want layout) {
	var gone []string
	for _, name := range slices.Sorted(maps.Keys(have.chains)) {
		if _, wanted := want[name]; wanted {
			continue
		}
		if len(have.chains[name]) > 0 {
			s.line("-F %s", name)
		}
		if have.pinned[name] == "" {
			gone = append(gone, name)
		}
	}
	for _, name := range gone {
		s.line("-X %s", name)
	}
}
