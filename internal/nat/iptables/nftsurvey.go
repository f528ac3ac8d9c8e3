package iptables

import (
	"context"
	"fmt"

	"github.com/google/nftables"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// nftables surveys the base chains of nftables that iptables has not shown.
func (s *survey) nftables(ctx context.Context) error {
	conn, err := dialNFT(ctx)
	if err != nil {
		return err
	}
	defer conn.CloseLasting()
	chains, err := conn.ListChains()
	if err != nil {
		return fmt.Errorf("list the chains of nftables: %w", err)
	}
	tables := map[string]*nftTable{}
	for _, c := range chains {
		family := nftFamilyName(c.Table.Family)
		if family == "" || c.Hooknum == nil || c.Table.Name == companionTable ||
			s.read[nftChainID(family, c.Table.Name, c.Name)] {
			continue
		}
		id := family + " " + c.Table.Name
		t, ok := tables[id]
		if !ok {
			t = &nftTable{conn: conn, table: c.Table, texts: readTexts(ctx, family, c.Table.Name),
				policies: map[string]action{}, listed: map[string][]step{}}
			tables[id] = t
		}
		t.policies[c.Name] = accept
		if c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			t.policies[c.Name] = drop
		}
		if err := s.nftChain(t, c); err != nil {
			if ctx.Err() != nil {
				return err
			}
			s.backend.log.Warn("cannot look into a firewall", "err", err)
		}
	}
	return nil
}

// readTexts returns no texts where there is no nft command.
func readTexts(ctx context.Context, family, table string) map[uint64]string {
	path, err := lookPath("nft")
	if err != nil {
		return nil
	}
	listing, err := run(ctx, commandTimeout, "", path, "-a", "list", "table", family, table)
	if err != nil {
		return nil
	}
	return nftTexts(listing)
}

// nftChain surveys one base chain, for the families that it sees.
func (s *survey) nftChain(t *nftTable, c *nftables.Chain) error {
	for _, f := range []nat.Family{nat.IPv4, nat.IPv6} {
		if t.table.Family != nftables.TableFamilyINet && nftFamilyName(t.table.Family) != nftFamily(f) {
			continue
		}
		var err error
		switch {
		case c.Type == nftables.ChainTypeFilter && *c.Hooknum == *nftables.ChainHookInput:
			err = s.input(t, c.Name, f)
		case c.Type == nftables.ChainTypeNAT && *c.Hooknum == *nftables.ChainHookPrerouting:
			err = s.nftNAT(t, c, f, false)
		case c.Type == nftables.ChainTypeNAT && *c.Hooknum == *nftables.ChainHookOutput:
			err = s.nftNAT(t, c, f, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nftNAT surveys a nat chain. Ours have the priority of iptables; of two chains
// with one priority either may come first.
func (s *survey) nftNAT(t *nftTable, c *nftables.Chain, f nat.Family, lo bool) error {
	reached := yes
	switch ours := *nftables.ChainPriorityNATDest; {
	case *c.Priority > ours:
		return nil
	case *c.Priority == ours:
		reached = likely
	}
	var all []found
	for _, conn := range s.connections(f, lo) {
		w := natWalk{set: t, endpoint: conn.endpoint, packet: conn.before, reached: reached}
		if err := w.run(c.Name); err != nil {
			return err
		}
		all = append(all, w.findings...)
	}
	s.findings = append(s.findings, all)
	return nil
}
