package single

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// step is one command, and the one that takes it back.
type step struct {
	family nat.Family
	do     []string
	undo   []string
	// once: undo is not for a command that failed itself, as it would do what
	// may never have been undone. (One that was killed may have been done.)
	once bool
}

// steps are a change under construction.
type steps []step

func (s *steps) add(f nat.Family, do, undo []string) {
	*s = append(*s, step{family: f, do: do, undo: undo})
}

func command(op, chain string, rule ...string) []string {
	return append([]string{op, chain}, rule...)
}

// newChain and appendRule are undone in the opposite order: the chain is empty
// again when it is deleted.
func (s *steps) newChain(f nat.Family, chain string) {
	s.add(f, command("-N", chain), command("-X", chain))
}

func (s *steps) appendRule(f nat.Family, chain string, rule []string) {
	s.add(f, command("-A", chain, rule...), command("-D", chain, rule...))
}

func (s *steps) insertRule(f nat.Family, chain string, rule []string) {
	s.add(f, append([]string{"-I", chain, "1"}, rule...), command("-D", chain, rule...))
}

// replaceFirst needs no number but that of the first rule, in a chain of ours.
func (s *steps) replaceFirst(f nat.Family, chain string, old, rule []string) {
	at := []string{"-R", chain, "1"}
	s.add(f, append(at[:3:3], rule...), append(at[:3:3], old...))
}

// deleteRule deletes by what the rule says. It comes back where it was.
func (s *steps) deleteRule(l line, f nat.Family) {
	*s = append(*s, step{
		family: f,
		do:     command("-D", l.chain, l.words...),
		undo:   append([]string{"-I", l.chain, strconv.Itoa(l.pos)}, l.words...),
		once:   true,
	})
}

// undoTimeout bounds what is done after an error.
const undoTimeout = time.Minute

// carryOut runs the steps. When one fails, those before it are undone, and what
// could not be is in the error.
func (r *Rules) carryOut(ctx context.Context, s steps) error {
	for i, st := range s {
		_, err := r.tool(st.family).run(ctx, st.do...)
		if err == nil {
			continue
		}
		if !st.once && st.undo != nil {
			// It may have been done all the same, if it was killed.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandTimeout)
			r.tool(st.family).run(ctx, st.undo...)
			cancel()
		}
		return errors.Join(err, r.undo(ctx, s[:i]))
	}
	return nil
}

// undo takes the steps back, the last one first, as far as that is possible.
func (r *Rules) undo(ctx context.Context, s steps) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	var errs []error
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].undo == nil {
			continue
		}
		_, err := r.tool(s[i].family).run(ctx, s[i].undo...)
		if err != nil && s[i].once {
			// Its place may be beyond the end by now.
			first := append([]string{"-I", s[i].undo[1], "1"}, s[i].undo[3:]...)
			_, err = r.tool(s[i].family).run(ctx, first...)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("and could not undo it: %w", err))
		}
	}
	return errors.Join(errs...)
}

// tryAll runs each step, whatever became of those before it.
func (r *Rules) tryAll(ctx context.Context, s steps) error {
	var errs []error
	for _, st := range s {
		if _, err := r.tool(st.family).run(ctx, st.do...); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
