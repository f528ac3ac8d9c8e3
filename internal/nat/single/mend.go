package single

import (
	"context"
	"slices"
)

// Complete reports whether everything of g is in the kernel: its chain in each
// family, and, if it is the current one, what leads there.
func (s State) Complete(g Generation, current bool) bool {
	return len(s.mend(g)) == 0 && (!current || s.verify(g) == nil)
}

// mend adds what is missing of a generation's chains, as after a flush.
func (s State) mend(g Generation) steps {
	var st steps
	chain := generationChain(s.key, g.ID)
	for _, t := range s.tables {
		rules, found := t.chains[chain]
		if !found {
			st.newChain(t.family, chain)
		}
		note := g.note(s.service)
		if !slices.ContainsFunc(rules, func(l line) bool { return l.comment == note }) {
			st.appendRule(t.family, chain, noteRule(note))
		}
		for _, target := range g.Targets {
			there := slices.ContainsFunc(rules, func(l line) bool {
				return l.toPort == target.Port && l.endpoint() == target.Endpoint
			})
			if !there && target.Serves()&t.family != 0 {
				st.appendRule(t.family, chain, targetRule(target))
			}
		}
	}
	if g.Retired != 0 && len(s.tables) > 0 {
		if have, found := s.Find(g.ID); !found || have.Retired == 0 {
			st.appendRule(s.tables[0].family, chain, noteRule(retiredMark(g.Retired)))
		}
	}
	return st
}

// Mend puts back what is missing of g, which is as Install or Find returned it,
// and leads new connections there if it is the current one.
func (r *Rules) Mend(ctx context.Context, s State, g Generation, current bool) error {
	if err := r.carryOut(ctx, s.mend(g)); err != nil || !current {
		return err
	}
	now, err := r.Read(ctx)
	if err != nil {
		return err
	}
	return r.Lead(ctx, now, g.ID)
}
