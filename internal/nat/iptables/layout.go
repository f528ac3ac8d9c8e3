package iptables

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// The names of what is ours. Chains' names end at 28 characters in the kernel.
const (
	chainPrefix = "SW-"
	networkBase = chainPrefix + "NETWORK"
	localBase   = chainPrefix + "LOCALHOST"
	hookComment = "switcheroo"
	keyLen      = 16 // of nat.Key
)

// base is a chain of ours that is hooked into a built-in one.
type base struct {
	name    string
	builtin string
	scope   nat.Scope
}

var bases = []base{
	{networkBase, "PREROUTING", nat.Network},
	{localBase, "OUTPUT", nat.Localhost},
}

// hook is the rule in the built-in chain. It matches only what opens a
// connection: flows are untracked until the first NAT rule exists, and would
// be redirected in mid-stream by it.
func (b base) hook() rule {
	return rule{opening: true, local: true, comment: hookComment, jump: b.name}
}

// isOurs tells our chains by their names.
func isOurs(chain string) bool {
	if chain == networkBase || chain == localBase {
		return true
	}
	key, ok := strings.CutPrefix(chain, chainPrefix)
	return ok && isKey(key)
}

func isKey(s string) bool {
	return len(s) == keyLen && strings.Trim(s, "0123456789abcdef") == ""
}

// comment is on every rule of an activation. It is how an activation is told
// from the kernel alone.
func comment(key, activation string) string {
	return hookComment + ":" + activation + ":" + key[:8]
}

// activationOf is the inverse of comment; "" if c is not of that form.
func activationOf(c string) string {
	parts := strings.Split(c, ":")
	if len(parts) != 3 || parts[0] != hookComment {
		return ""
	}
	return parts[1]
}

// layout is what one family shall hold: for each chain its rules, in order.
type layout map[string][]rule

// newLayout renders want for one family. want is valid.
func newLayout(want nat.Rules, family nat.Family) (layout, error) {
	l := layout{}
	for _, rd := range bySpecificity(want.Redirects, family) {
		service := chainPrefix + rd.key
		activation := chainPrefix + nat.ActivationKey(rd.Service, rd.Activation)
		for _, name := range []string{service, activation} {
			if _, taken := l[name]; taken {
				return nil, fmt.Errorf("redirect of %q: chain %s belongs to another service", rd.Service, name)
			}
		}
		note := comment(rd.key, rd.Activation)
		l[service] = []rule{{comment: note, jump: activation}}
		for _, t := range rd.Targets {
			l[activation] = append(l[activation], rule{
				dst: t.Endpoint.Addr, dport: t.Endpoint.Port, comment: note, toPort: t.Port,
			})
		}
		for _, b := range bases {
			if rd.Scope&b.scope != 0 {
				l[b.name] = append(l[b.name], rule{jump: service})
			}
		}
	}
	return l, nil
}

// keyed is a redirect with its service's key, which is a hash to compute.
type keyed struct {
	nat.Redirect
	key string
}

// bySpecificity returns the redirects that have targets in the family, with
// those only, in canonical form: an address of its own comes before every
// address, as it does for listening sockets; otherwise the order only has to
// be the same each time.
func bySpecificity(redirects []nat.Redirect, family nat.Family) []keyed {
	var in []keyed
	for _, rd := range redirects {
		var targets []nat.Target
		for _, t := range rd.Targets {
			if t.Serves()&family != 0 {
				t.Endpoint = t.Endpoint.Canonical()
				targets = append(targets, t)
			}
		}
		if len(targets) == 0 {
			continue
		}
		slices.SortFunc(targets, func(a, b nat.Target) int { return byEndpoint(a.Endpoint, b.Endpoint) })
		rd.Targets = targets
		in = append(in, keyed{rd, nat.Key(rd.Service)})
	}
	widest := func(rd keyed) int { return width(rd.Targets[len(rd.Targets)-1].Endpoint) }
	slices.SortFunc(in, func(a, b keyed) int {
		return cmp.Or(widest(a)-widest(b), cmp.Compare(a.key, b.key))
	})
	return in
}

// width is 0 for one address and 1 for every address.
func width(e nat.Endpoint) int {
	if e.Addr.IsValid() {
		return 0
	}
	return 1
}

func byEndpoint(a, b nat.Endpoint) int {
	return cmp.Or(width(a)-width(b), a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port))
}
