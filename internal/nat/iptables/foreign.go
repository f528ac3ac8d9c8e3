package iptables

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Foreign reports the rules of others that stand in the way of redirects, or
// that redirects make void: NAT rules ahead of ours, and host firewalls of both
// variants of iptables and of nftables itself. It writes nothing. What it does
// not understand of a rule counts as "may match". A table that cannot be read
// is logged and left out.
//
// Fixes count rules, so the findings of one chain come last rule first: applied
// in the order given, each still meets the rule that it is for.
func (b *Backend) Foreign(ctx context.Context, redirects []nat.Redirect) ([]nat.Finding, error) {
	if err := (nat.Rules{Redirects: redirects}).Validate(); err != nil {
		return nil, err
	}
	local, err := localAddrs()
	if err != nil {
		return nil, err
	}
	s := survey{backend: b, redirects: redirects, local: local, read: map[string]bool{}}
	for _, t := range slices.Concat(b.tools, b.others) {
		for _, table := range []string{"nat", "filter"} {
			if t.variant == Legacy && !legacyTable(t.family, table) {
				continue // to list it would load it
			}
			if err := s.iptables(ctx, t, table); err != nil {
				if ctx.Err() != nil {
					return nil, err
				}
				b.log.Warn("cannot look into a firewall", "err", err)
			}
		}
	}
	if err := s.nftables(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		b.log.Warn("cannot look into a firewall", "err", err)
	}
	return s.sorted(), nil
}

func localAddrs() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the addresses of this host: %w", err)
	}
	var local []netip.Addr
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				local = append(local, addr.Unmap())
			}
		}
	}
	return local, nil
}

// survey collects findings for redirects.
type survey struct {
	backend   *Backend
	redirects []nat.Redirect
	local     []netip.Addr
	read      map[string]bool // chains of nftables that iptables has shown
	findings  [][]found       // by table
}

// connection is one way that connections come to an endpoint of ours.
type connection struct {
	endpoint      nat.Endpoint
	before, after packet // the redirect
}

// connections returns those of a family that come from the network (lo false)
// or from this host.
func (s *survey) connections(family nat.Family, lo bool) []connection {
	scope := nat.Network
	if lo {
		scope = nat.Localhost
	}
	var all []connection
	for _, rd := range s.redirects {
		for _, t := range rd.Targets {
			if rd.Scope&scope == 0 || t.Serves()&family == 0 {
				continue
			}
			e := t.Endpoint.Canonical()
			p := packet{family: family, dst: e.Addr, local: s.local, port: e.Port, lo: lo}
			c := connection{endpoint: e, before: p, after: p}
			if t.Port != e.Port { // else nothing is translated
				c.after.port, c.after.orig = t.Port, e.Port
			}
			all = append(all, c)
		}
	}
	return all
}

// iptables surveys one table of iptables.
func (s *survey) iptables(ctx context.Context, t *tool, table string) error {
	set, err := newForeignTable(ctx, t, table)
	if errors.As(err, &errNotIptables{}) {
		return nil // the survey of nftables reads it
	}
	if err != nil {
		return err
	}
	if table == "filter" {
		s.read[chainID(t, table, "INPUT")] = true
		return s.input(set, "INPUT", t.family)
	}
	for _, b := range bases {
		s.read[chainID(t, table, b.builtin)] = true
		if err := s.nat(set, b, t); err != nil {
			return err
		}
	}
	return nil
}

// chainID names a chain that nftables has too, if it is one.
func chainID(t *tool, table, chain string) string {
	if t.variant != NFT {
		return ""
	}
	return nftChainID(nftFamily(t.family), table, chain)
}

// input surveys a base chain that filters what comes to this host.
func (s *survey) input(set ruleset, base string, family nat.Family) error {
	var all []found
	for _, lo := range []bool{false, true} {
		for _, c := range s.connections(family, lo) {
			if c.after.orig == 0 {
				continue // nothing is translated, so nothing changes
			}
			w := inputWalk{set: set, endpoint: c.endpoint, before: c.before, after: c.after}
			if err := w.run(base); err != nil {
				return err
			}
			all = append(all, w.findings...)
		}
	}
	s.findings = append(s.findings, all)
	return nil
}

// nat surveys a built-in chain of table nat. In the variant that we write to,
// only what is ahead of our hook counts, and nothing will be if that is missing.
func (s *survey) nat(set *foreignTable, b base, t *tool) error {
	steps, err := set.steps(b.builtin)
	if err != nil {
		return err
	}
	var fix remedy
	if t.variant == s.backend.variant {
		if !slices.ContainsFunc(steps, func(st step) bool { return st.chain == b.name }) {
			return nil
		}
		// Apply then finds two hooks and keeps the place of the first.
		fix.command = fmt.Sprintf("%s -t nat -I %s %s", t.name, b.builtin, b.hook())
	}
	var all []found
	for _, c := range s.connections(t.family, b.scope == nat.Localhost) {
		w := natWalk{set: set, endpoint: c.endpoint, packet: c.before, reached: yes, hook: b.name, fix: fix}
		if err := w.run(b.builtin); err != nil {
			return err
		}
		all = append(all, w.findings...)
	}
	s.findings = append(s.findings, all)
	return nil
}

// sorted returns each finding once, those of equal text in two families as one,
// and those of one chain last rule first.
func (s *survey) sorted() []nat.Finding {
	type text struct {
		kind           nat.FindingKind
		endpoint       nat.Endpoint
		rule, msg, fix string
	}
	index := map[text]int{}
	var all []nat.Finding
	for _, table := range s.findings {
		slices.SortStableFunc(table, func(a, b found) int {
			return cmp.Or(cmp.Compare(a.remedy.chain, b.remedy.chain), -cmp.Compare(a.remedy.pos, b.remedy.pos))
		})
		for _, f := range table {
			k := text{f.Kind, f.Endpoint, f.Rule, f.Message, f.Fix}
			if i, known := index[k]; known {
				all[i].Family |= f.Family
				continue
			}
			index[k] = len(all)
			all = append(all, f.Finding)
		}
	}
	return all
}
