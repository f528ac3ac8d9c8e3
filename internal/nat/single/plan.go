package single

import (
	"github.com/switcheroo/switcheroo/internal/nat"
)

// create makes the chains of a generation in every family. Nothing leads there.
func (s State) create(g Generation) steps {
	var st steps
	chain := generationChain(s.key, g.ID)
	for _, t := range s.tables {
		st.newChain(t.family, chain)
		st.appendRule(t.family, chain, noteRule(g.note(s.service)))
		for _, target := range g.Targets {
			if target.Serves()&t.family != 0 {
				st.appendRule(t.family, chain, targetRule(target))
			}
		}
	}
	return st
}

// mark puts a comment into a generation's chain, in one family: that is enough.
func (s State) mark(id, comment string) steps {
	var st steps
	for _, t := range s.tables {
		if _, found := t.chains[generationChain(s.key, id)]; found {
			st.appendRule(t.family, generationChain(s.key, id), noteRule(comment))
			break
		}
	}
	return st
}

// unmark takes all marks away.
func (s State) unmark(id string) steps {
	var st steps
	chain := generationChain(s.key, id)
	for _, t := range s.tables {
		for _, l := range t.chains[chain] {
			var g Generation
			if g.take(l.comment); g.Told || g.Signalled || g.Retired != 0 {
				st.deleteRule(l, t.family)
			}
		}
	}
	return st
}

// lead makes new connections go to g, whose chains are there: in each family by
// one command that moves all endpoints at once.
func (s State) lead(g Generation) steps {
	var st steps
	service, rule := serviceChain(s.key), jumpRule(g.note(s.service), generationChain(s.key, g.ID))
	for _, t := range s.tables {
		if _, found := t.chains[service]; !found {
			st.newChain(t.family, service)
		}
	}
	for _, t := range s.tables {
		if rules := t.chains[service]; len(rules) > 0 {
			st.replaceFirst(t.family, service, rules[0].words, rule)
			for _, l := range rules[1:] { // nobody's
				st.deleteRule(l, t.family)
			}
		} else {
			st.appendRule(t.family, service, rule)
		}
		st = append(st, s.hook(t, g.Scope)...)
		// What the original had is behind our hook now, or in front of it if
		// an older program has been gone back to: then this is what moves.
		for _, l := range t.originals(s.service) {
			st.deleteRule(l, t.family)
		}
	}
	return st
}

// hook leads connections of the scope, and no others, to the service's chain. A
// hook that is there stays where it is.
func (s State) hook(t table, scope nat.Scope) steps {
	var st steps
	service := serviceChain(s.key)
	for _, b := range bases {
		var found []line
		for _, l := range t.hooks(service) {
			if l.chain == b.chain {
				found = append(found, l)
			}
		}
		keep := 0
		if scope&b.scope != 0 {
			if keep = 1; len(found) == 0 {
				st.insertRule(t.family, b.chain, hookRule(s.service, service))
			}
		}
		for i := len(found) - 1; i >= keep; i-- {
			st.deleteRule(found[i], t.family)
		}
	}
	return st
}

// leave makes new connections go nowhere, in each family by one command.
func (s State) leave() steps {
	var st steps
	for _, t := range s.tables {
		for _, l := range t.chains[serviceChain(s.key)] {
			st.deleteRule(l, t.family)
		}
	}
	return st
}

// unhook takes away what leave has left of the service.
func (s State) unhook() steps {
	var st steps
	service := serviceChain(s.key)
	for _, t := range s.tables {
		for _, l := range t.hooks(service) {
			st.deleteRule(l, t.family)
		}
		if _, found := t.chains[service]; found {
			st.add(t.family, command("-F", service), nil)
			st.add(t.family, command("-X", service), nil)
		}
	}
	return st
}

// drop deletes the chains of a generation. Nothing leads there.
func (s State) drop(id string) steps {
	var st steps
	chain := generationChain(s.key, id)
	for _, t := range s.tables {
		if _, found := t.chains[chain]; found {
			st.add(t.family, command("-F", chain), nil)
			st.add(t.family, command("-X", chain), nil)
		}
	}
	return st
}

// dropOriginals deletes the rules of the original's.
func (s State) dropOriginals() steps {
	var st steps
	for _, t := range s.tables {
		for _, l := range t.originals(s.service) {
			st.deleteRule(l, t.family)
		}
	}
	return st
}
