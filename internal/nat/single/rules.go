package single

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Rules are those of one service. Whoever calls a method that changes them
// holds the service's lock, and got the State that it gives under that lock.
type Rules struct {
	service string
	tools   []Tool
}

// New returns the rules of a service, whose name passes CheckName, as tools show
// and change them: one for each family, IPv4 first.
func New(service string, tools []Tool) *Rules {
	return &Rules{service: service, tools: tools}
}

// Families are those of the tools.
func (r *Rules) Families() nat.Family {
	var all nat.Family
	for _, t := range r.tools {
		all |= t.Family
	}
	return all
}

func (r *Rules) tool(f nat.Family) Tool {
	return r.tools[slices.IndexFunc(r.tools, func(t Tool) bool { return t.Family == f })]
}

// Read returns what there is of the service.
func (r *Rules) Read(ctx context.Context) (State, error) {
	tables, err := readAll(ctx, r.tools)
	if err != nil {
		return State{}, err
	}
	return newState(r.service, tables), nil
}

func readAll(ctx context.Context, tools []Tool) ([]table, error) {
	var tables []table
	for _, tool := range tools {
		text, err := tool.run(ctx, "-S")
		if err != nil {
			return nil, fmt.Errorf("read the %v rules: %w", tool.Family, err)
		}
		t, err := parseTable(tool.Family, text)
		if err != nil {
			return nil, fmt.Errorf("read the %v rules: %w", tool.Family, err)
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// Check tries out a tool, without changing anything.
func (t Tool) Check(ctx context.Context) error {
	_, err := t.run(ctx, "-S", "PREROUTING")
	return err
}

// Install leads new connections to a new generation, which it completes with an
// ID and a Number and returns. keep are processes of the original's that still
// run and are to be seen out: they become generations, older than g. stale are
// claims of others that g takes: their rules go, as they may stand before ours.
//
// On error everything is as it was, or the error says what could not be undone.
func (r *Rules) Install(ctx context.Context, s State, g Generation, keep []Generation, stale []Claim) (Generation, error) {
	var st steps
	n := s.next()
	now := bootTime()
	for _, old := range keep {
		old.ID, old.Number = newID(), n
		n++
		st = append(st, s.create(old)...)
		for _, t := range s.tables[:1] {
			st.appendRule(t.family, generationChain(s.key, old.ID), noteRule(retiredMark(now)))
		}
	}
	if s.Current != "" {
		st = append(st, s.mark(s.Current, retiredMark(now))...)
	}
	g.ID, g.Number = newID(), n
	if note := g.note(s.service); len(note) > 255 {
		return g, fmt.Errorf("comment of %d bytes for a rule: at most 255", len(note))
	}
	st = append(st, s.create(g)...)
	st = append(st, s.lead(g)...)
	st = append(st, give(stale)...)
	return g, r.move(ctx, st, g)
}

// Lead leads new connections to a generation that is there already.
func (r *Rules) Lead(ctx context.Context, s State, id string) error {
	g, found := s.Find(id)
	if !found {
		return fmt.Errorf("generation %s of %q is gone", id, r.service)
	}
	var st steps
	if s.Current != "" && s.Current != id {
		st = append(st, s.mark(s.Current, retiredMark(bootTime()))...)
	}
	st = append(st, s.unmark(id)...)
	return r.move(ctx, append(st, s.lead(g)...), g)
}

// move carries out the steps and reads back that they lead to g.
func (r *Rules) move(ctx context.Context, st steps, g Generation) error {
	if err := r.carryOut(ctx, st); err != nil {
		return err
	}
	now, err := r.Read(ctx)
	if err == nil {
		err = now.verify(g)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("read back: %w", err), r.undo(ctx, st))
	}
	return nil
}

// verify reports where the kernel does not lead to g.
func (s State) verify(g Generation) error {
	service := serviceChain(s.key)
	for _, t := range s.tables {
		if id := t.current(s.key); id != g.ID {
			return fmt.Errorf("the %v chain %s does not lead to %s: somebody else has changed it", t.family, service, generationChain(s.key, g.ID))
		}
		for _, b := range bases {
			hooked := slices.ContainsFunc(t.hooks(service), func(l line) bool { return l.chain == b.chain })
			if g.Scope&b.scope != 0 && !hooked {
				return fmt.Errorf("the %v chain %s does not lead to %s: somebody else has changed it", t.family, b.chain, service)
			}
		}
		have := t.generations(s.key)[g.ID].Targets
		for _, want := range g.Targets {
			if want.Serves()&t.family == 0 {
				continue
			}
			want.Families = t.family
			if !slices.Contains(have, want) {
				return fmt.Errorf("the %v rule for %v is not there: somebody else has changed it", t.family, want.Endpoint)
			}
		}
	}
	return nil
}

// Tell records that a generation is about to be told to end.
func (r *Rules) Tell(ctx context.Context, s State, id string) error {
	return r.carryOut(ctx, s.mark(id, toldMark))
}

// Signalled records that it has been.
func (r *Rules) Signalled(ctx context.Context, s State, id string) error {
	return r.carryOut(ctx, s.mark(id, sentMark))
}

// Drop removes generations that new connections do not go to.
func (r *Rules) Drop(ctx context.Context, s State, ids ...string) error {
	var st steps
	for _, id := range ids {
		if id != s.Current {
			st = append(st, s.drop(id)...)
		}
	}
	return r.tryAll(ctx, st)
}

// Leave makes new connections go nowhere, and then removes what is of no use any
// more: the hooks, and the generation that they went to.
func (r *Rules) Leave(ctx context.Context, s State) error {
	if err := r.carryOut(ctx, s.leave()); err != nil {
		return err
	}
	st := s.unhook()
	if s.Current != "" {
		st = append(st, s.drop(s.Current)...)
	}
	return r.tryAll(ctx, st)
}

// Remove removes everything of the service, as far as it can.
func (r *Rules) Remove(ctx context.Context, s State) error {
	st := append(s.leave(), s.unhook()...)
	for _, g := range s.Generations {
		st = append(st, s.drop(g.ID)...)
	}
	return r.tryAll(ctx, append(st, s.dropOriginals()...))
}

// Services returns what the tools show of every service, by its name.
func Services(ctx context.Context, tools []Tool) (map[string]State, error) {
	tables, err := readAll(ctx, tools)
	if err != nil {
		return nil, err
	}
	all := map[string]State{}
	for _, t := range tables {
		for _, rules := range t.chains {
			for _, l := range rules {
				var g Generation
				if name := g.take(l.comment); name != "" {
					all[name] = State{}
				}
			}
		}
		for _, l := range t.builtin {
			if name, _, ok := parseOriginal(l.comment); ok {
				all[name] = State{}
			} else if name, ok := strings.CutPrefix(l.comment, noteWord+" ns="); ok {
				all[name] = State{}
			}
		}
	}
	for name := range all {
		all[name] = newState(name, tables)
	}
	return all, nil
}

// Since returns how many seconds ago g ceased to be current.
func (g Generation) Since() int64 {
	if g.Retired == 0 {
		return 0
	}
	return max(0, bootTime()-g.Retired)
}

// bootTime is in seconds since boot, as no clock that is set changes it.
func bootTime() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // the clock exists on every kernel
	}
	return max(1, t.Sec)
}
