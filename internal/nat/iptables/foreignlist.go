package iptables

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// foreignTable is a table of one family and variant as a ruleset. It lists a
// chain when the walk gets there.
type foreignTable struct {
	ctx      context.Context
	tool     *tool
	table    string
	names    []string // of its chains
	listed   map[string][]step
	policies map[string]action
}

// errNotIptables: the table holds what iptables cannot show, so that it has to
// be read as nftables.
type errNotIptables struct{ error }

func newForeignTable(ctx context.Context, t *tool, table string) (*foreignTable, error) {
	f := &foreignTable{ctx: ctx, tool: t, table: table, listed: map[string][]step{}, policies: map[string]action{}}
	var err error
	f.names, err = t.ipt.ListChains(table)
	return f, f.wrap("chains", err)
}

func (f *foreignTable) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("list %s of table %s with %s: %w", what, f.table, f.tool.name, err)
	if strings.Contains(err.Error(), "is incompatible") {
		return errNotIptables{err}
	}
	return err
}

func (f *foreignTable) steps(chain string) ([]step, error) {
	if steps, ok := f.listed[chain]; ok {
		return steps, nil
	}
	if f.ctx.Err() != nil {
		return nil, context.Cause(f.ctx)
	}
	lines, err := f.tool.ipt.List(f.table, chain)
	if err != nil {
		return nil, f.wrap("chain "+chain, err)
	}
	f.listed[chain] = f.parse(chain, lines)
	return f.listed[chain], nil
}

// parse reads what `iptables -S chain` printed.
func (f *foreignTable) parse(chain string, lines []string) []step {
	var steps []step
	for _, line := range lines {
		if policy, ok := strings.CutPrefix(line, "-P "+chain+" "); ok {
			f.policies[chain] = accept
			if strings.HasPrefix(policy, "DROP") {
				f.policies[chain] = drop
			}
		}
		if spec, ok := strings.CutPrefix(line, "-A "+chain+" "); ok {
			steps = append(steps, f.step(chain, len(steps)+1, spec))
		}
	}
	return steps
}

func (f *foreignTable) step(chain string, pos int, spec string) step {
	s := step{rule: fmt.Sprintf("%s: -A %s %s", f.name(), chain, spec)}
	r, ok := parseForeign(spec)
	s.insert = func(rule string) remedy {
		number := ""
		if pos > 1 {
			number = fmt.Sprint(pos, " ")
		}
		return remedy{fmt.Sprintf("%s -I %s %s%s", f.tool.name, chain, number, rule), chain, pos}
	}
	if !ok {
		s.match = func(packet) truth { return maybe }
		return s
	}
	s.match, s.do, s.chain, s.same, s.byOrigin = r.match, r.do, r.chain, r.same(), r.byOrigin()
	if s.do == jump && !slices.Contains(f.names, s.chain) {
		s.do, s.chain = pass, "" // an extension that we do not know, such as LOG
	}
	s.forDialled = func(port uint16) string { return shellQuote(r.forDialled(port)) }
	return s
}

// name is what an operator types to see the table.
func (f *foreignTable) name() string { return f.tool.name + " -t " + f.table }

func (f *foreignTable) policy(chain string) action { return f.policies[chain] }

func (f *foreignTable) describe(chain string) string {
	return fmt.Sprintf("%s: -P %s DROP", f.name(), chain)
}

func (f *foreignTable) opening(e openingFor) string {
	to := ""
	if addr := e.endpoint.Addr; addr.IsValid() {
		to = fmt.Sprintf("-d %s/%d ", addr, addr.BitLen())
	}
	return fmt.Sprintf("%s-p tcp -m conntrack --ctstate DNAT --ctorigdstport %d -j ACCEPT", to, e.endpoint.Port)
}

func (f *foreignTable) last(chain, rule string) remedy {
	return remedy{command: fmt.Sprintf("%s -A %s %s", f.tool.name, chain, rule), chain: chain}
}
