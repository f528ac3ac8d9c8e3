package single

import (
	"context"
	"slices"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Claim is a public endpoint that somebody's rules lead elsewhere: those of
// another service, of the daemon, or of the original library.
type Claim struct {
	Endpoint nat.Endpoint
	Scope    nat.Scope
	Port     uint16 // private
	Owner    string // the service's name; "" for one of the daemon's
	PID      int    // 0 for one of the daemon's
	Start    uint64 // 0 if the rules do not say: those of the original library

	family nat.Family
	rule   line // that leads to the port
}

// claims follows every rule of the built-in chains to where it leads.
func (t table) claims() []Claim {
	var all []Claim
	for _, b := range bases {
		for _, hook := range t.builtin {
			if hook.chain != b.chain {
				continue
			}
			if owner, o, ok := parseOriginal(hook.comment); ok {
				all = append(all, Claim{
					Endpoint: hook.endpoint(), Scope: b.scope, Port: o.Port, Owner: owner, PID: o.PID,
					family: t.family, rule: hook,
				})
				continue
			}
			t.follow(hook.jump, Claim{Scope: b.scope, family: t.family}, 0, &all)
		}
	}
	return all
}

// maxDepth is more than the chains of anybody here are deep.
const maxDepth = 4

func (t table) follow(chain string, c Claim, depth int, all *[]Claim) {
	if depth > maxDepth {
		return
	}
	for _, l := range t.chains[chain] {
		var g Generation
		if owner := g.take(l.comment); owner != "" && g.PID != 0 {
			c.Owner, c.PID, c.Start = owner, g.PID, g.Start
		}
		switch {
		case l.toPort != 0:
			c.Endpoint, c.Port, c.rule = l.endpoint(), l.toPort, l
			*all = append(*all, c)
		case isOurs(l.jump):
			t.follow(l.jump, c, depth+1, all)
		}
	}
}

// give deletes the rules of claims, each once: one in a chain is found by way of
// every hook that leads there.
func give(claims []Claim) steps {
	var st steps
	type place struct {
		family nat.Family
		chain  string
		pos    int
	}
	given := map[place]bool{}
	for _, c := range claims {
		p := place{c.family, c.rule.chain, c.rule.pos}
		if !given[p] {
			given[p] = true
			st.deleteRule(c.rule, c.family)
		}
	}
	return st
}

// Overlaps reports whether c is about connections to one of targets.
func (c Claim) Overlaps(targets []nat.Target, scope nat.Scope) bool {
	return c.Scope&scope != 0 && slices.ContainsFunc(targets, func(t nat.Target) bool {
		a, b := t.Endpoint.Addr, c.Endpoint.Addr
		return t.Endpoint.Port == c.Endpoint.Port && (!a.IsValid() || !b.IsValid() || a == b)
	})
}

// Claims returns what rules of the library's and of the original's lead elsewhere
// of the targets. Rules whose process is gone count: they take the connections all
// the same.
func Claims(ctx context.Context, tools []Tool, targets []nat.Target, scope nat.Scope) ([]Claim, error) {
	tables, err := readAll(ctx, tools)
	if err != nil {
		return nil, err
	}
	var all []Claim
	for _, t := range tables {
		for _, c := range t.claims() {
			if c.Owner != "" && c.Overlaps(targets, scope) {
				all = append(all, c)
			}
		}
	}
	return all, nil
}
