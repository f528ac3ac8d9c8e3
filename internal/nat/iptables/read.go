package iptables

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Read implements nat.Backend. Until the first Apply it also tells what the
// other variant holds, if this one holds nothing for the service.
func (b *Backend) Read(ctx context.Context) ([]nat.Installed, error) {
	installed, err := readAll(ctx, b.tools)
	if err != nil {
		return nil, err
	}
	if len(b.stale) == 0 {
		return installed, nil
	}
	older, err := readAll(ctx, b.stale)
	if err != nil {
		return nil, err
	}
	ours := map[string]bool{}
	for _, i := range installed {
		ours[i.Key] = true
	}
	for _, i := range older {
		if !ours[i.Key] {
			installed = append(installed, i)
		}
	}
	slices.SortStableFunc(installed, byKey)
	return installed, nil
}

func byKey(a, b nat.Installed) int { return cmp.Compare(a.Key, b.Key) }

func readAll(ctx context.Context, tools []*tool) ([]nat.Installed, error) {
	var m merger
	for _, t := range tools {
		s, err := t.read(ctx)
		if err != nil {
			return nil, err
		}
		m.add(t.family, s)
	}
	return m.installed(), nil
}

// merger puts the families together again: they agree unless a commit is
// missing between them.
type merger struct {
	order    []identity
	families map[identity]map[route]nat.Family
}

type identity struct {
	key, activation string
	scope           nat.Scope
}

type route struct {
	endpoint nat.Endpoint
	port     uint16
}

// add takes over what one family's chains say.
func (m *merger) add(family nat.Family, s snapshot) {
	if m.families == nil {
		m.families = map[identity]map[route]nat.Family{}
	}
	scopes := scopesOf(s)
	for _, name := range slices.Sorted(maps.Keys(s.chains)) {
		activation, chain := current(s.chains[name])
		if activation == "" {
			continue
		}
		id := identity{strings.TrimPrefix(name, chainPrefix), activation, scopes[name]}
		if m.families[id] == nil {
			m.families[id] = map[route]nat.Family{}
			m.order = append(m.order, id)
		}
		for _, r := range s.chains[chain] {
			if r.toPort != 0 {
				m.families[id][route{nat.Endpoint{Addr: r.dst, Port: r.dport}, r.toPort}] |= family
			}
		}
	}
}

// scopesOf returns for each chain that the bases lead to whose connections come
// through it. A base that is not hooked in leads nobody anywhere.
func scopesOf(s snapshot) map[string]nat.Scope {
	scopes := map[string]nat.Scope{}
	for _, b := range bases {
		hooked := slices.ContainsFunc(s.hooks, func(h hook) bool {
			return h.chain == b.builtin && h.rule == b.hook()
		})
		if !hooked {
			continue
		}
		for _, r := range s.chains[b.name] {
			scopes[r.jump] |= b.scope
		}
	}
	return scopes
}

// current returns what a service's chain leads to: the first rule that leads to
// an activation takes every connection. It returns "" for other chains.
func current(rules []rule) (activation, chain string) {
	for _, r := range rules {
		if a := activationOf(r.comment); a != "" && isOurs(r.jump) {
			return a, r.jump
		}
	}
	return "", ""
}

func (m *merger) installed() []nat.Installed {
	var all []nat.Installed
	for _, id := range m.order {
		i := nat.Installed{Key: id.key, Activation: id.activation, Scope: id.scope}
		for r, families := range m.families[id] {
			i.Targets = append(i.Targets, nat.Target{Endpoint: r.endpoint, Port: r.port, Families: families})
		}
		slices.SortFunc(i.Targets, func(a, b nat.Target) int {
			return cmp.Or(byEndpoint(a.Endpoint, b.Endpoint), cmp.Compare(a.Port, b.Port))
		})
		all = append(all, i)
	}
	slices.SortStableFunc(all, byKey)
	return all
}
