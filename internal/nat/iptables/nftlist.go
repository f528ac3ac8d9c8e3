package iptables

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// companionTable is the one table of nftables that is our own.
const companionTable = "switcheroo"

// nftTimeout bounds the listing of one table.
const nftTimeout = 10 * time.Second

// dialNFT returns a connection for a few requests. Close it with CloseLasting.
func dialNFT(ctx context.Context) (*nftables.Conn, error) {
	end := time.Now().Add(nftTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	limit := nftables.WithSockOptions(func(c *netlink.Conn) error { return c.SetDeadline(end) })
	conn, err := nftables.New(nftables.AsLasting(), limit)
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	return conn, nil
}

// nftTable is a table of nftables as a ruleset.
type nftTable struct {
	conn     *nftables.Conn
	table    *nftables.Table
	texts    map[uint64]string // of rules, as nft prints them
	policies map[string]action
	listed   map[string][]step
}

func (n *nftTable) steps(chain string) ([]step, error) {
	if steps, ok := n.listed[chain]; ok {
		return steps, nil
	}
	rules, err := n.conn.GetRules(n.table, &nftables.Chain{Name: chain})
	if err != nil {
		return nil, fmt.Errorf("list chain %s of nftables %s: %w", chain, n.name(), err)
	}
	var steps []step
	for i, r := range rules {
		steps = append(steps, n.compile(chain, i == 0, r)...)
	}
	n.listed[chain] = steps
	return steps, nil
}

// compile returns a rule's steps: several for a verdict map.
func (n *nftTable) compile(chain string, first bool, r *nftables.Rule) []step {
	compiled := compileNFT(r.Exprs, func(set string) ([]nftables.SetElement, error) {
		return n.conn.GetSetElements(&nftables.Set{Table: n.table, Name: set})
	})
	text := n.texts[r.Handle]
	common := step{
		match:      compiled.match,
		rule:       fmt.Sprintf("%s %s: %s", n.name(), chain, text),
		byOrigin:   compiled.byOrigin,
		same:       nftSame(text),
		forDialled: func(port uint16) string { return nftForDialled(text, port) },
		insert: func(rule string) remedy {
			if first {
				return n.remedy("insert", chain, rule)
			}
			return n.remedy("insert", fmt.Sprintf("%s handle %d", chain, r.Handle), rule)
		},
	}
	if text == "" { // there is no nft on this host, or the rule is gone
		common.rule = fmt.Sprintf("%s %s: rule with handle %d", n.name(), chain, r.Handle)
		common.same = common.rule
	}
	var steps []step
	for _, v := range compiled.verdicts {
		s := common
		s.do, s.chain = v.do, v.chain
		if v.when != nil {
			s.match = func(p packet) truth { return min(compiled.match(p), v.when(p)) }
			s.same, s.forDialled = common.rule+verdictText(v), func(uint16) string { return "" }
			if len(compiled.conditions) <= 1 { // no more than the protocol
				s.same = strings.TrimSpace(verdictText(v))
				s.forDialled = func(port uint16) string { return nftDialled(port) + verdictText(v) }
			}
		}
		steps = append(steps, s)
	}
	return steps
}

func verdictText(v verdict) string {
	switch v.do {
	case accept:
		return " accept"
	case drop:
		return " drop"
	case leave:
		return " return"
	case jump:
		return " jump " + v.chain
	case goTo:
		return " goto " + v.chain
	}
	return ""
}

func (n *nftTable) remedy(verb, place, rule string) remedy {
	if rule == "" {
		return remedy{}
	}
	return remedy{command: fmt.Sprintf("nft %s rule %s %s %s", verb, n.name(), place, shellQuoteRule(rule))}
}

// shellQuoteRule makes one word of a rule if the shell would meddle with it;
// nft puts its arguments together again.
func shellQuoteRule(rule string) string {
	if words := strings.Fields(rule); shellQuote(words) == rule {
		return rule
	}
	return shellQuote([]string{rule})
}

func (n *nftTable) name() string { return nftFamilyName(n.table.Family) + " " + n.table.Name }

func (n *nftTable) policy(chain string) action { return n.policies[chain] }

func (n *nftTable) describe(chain string) string {
	return fmt.Sprintf("%s %s: policy drop", n.name(), chain)
}

func (n *nftTable) opening(e openingFor) string {
	to := ""
	if addr := e.endpoint.Addr; addr.IsValid() {
		to = fmt.Sprintf("%s daddr %s ", nftFamily(e.family), addr)
	}
	return to + nftDialled(e.endpoint.Port) + " accept"
}

func (n *nftTable) last(chain, rule string) remedy { return n.remedy("add", chain, rule) }

// nftFamily is the name of a family's tables.
func nftFamily(f nat.Family) string {
	if f == nat.IPv6 {
		return "ip6"
	}
	return "ip"
}

func nftFamilyName(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	case nftables.TableFamilyINet:
		return "inet"
	}
	return ""
}

func nftChainID(family, table, chain string) string { return family + " " + table + " " + chain }
