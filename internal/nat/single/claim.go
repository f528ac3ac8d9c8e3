package single

import (
	"slices"
	"strings"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Claim is a public endpoint that somebody's rules lead elsewhere: those of
// another service, of the daemon, or of the original library.
type Claim struct {
	Endpoint nat.Endpoint
	Scope    nat.Scope
	Owner    string // the service's name; "" for one of the daemon's
	PID      int    // 0 for one of the daemon's
	Start    uint64 // 0 if the rules do not say
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
				all = append(all, Claim{Endpoint: hook.endpoint(), Scope: b.scope, Owner: owner, PID: o.PID})
				continue
			}
			t.follow(hook.jump, Claim{Scope: b.scope}, 0, &all)
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
			c.Endpoint = l.endpoint()
			*all = append(*all, c)
		case strings.HasPrefix(l.jump, "SW"):
			t.follow(l.jump, c, depth+1, all)
		}
	}
}

// Overlaps reports whether c is about connections to one of targets.
func (c Claim) overlaps(targets []nat.Target, scope nat.Scope) bool {
	return c.Scope&scope != 0 && slices.ContainsFunc(targets, func(t nat.Target) bool {
		a, b := t.Endpoint.Addr, c.Endpoint.Addr
		return t.Endpoint.Port == c.Endpoint.Port && (!a.IsValid() || !b.IsValid() || a == b)
	})
}
