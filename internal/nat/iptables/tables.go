package iptables

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Table is a table of iptables that holds rules, or drops by default.
type Table struct {
	Variant Variant
	Family  nat.Family
	Name    string // "nat", "filter", ...
}

// Detour is a NAT rule of somebody else's that leads to a port of this host.
type Detour struct {
	Family nat.Family
	Rule   string // with its table and chain, as its own tool shows it
	Port   uint16 // that it leads to
}

// Survey returns the tables that are in use in both variants of iptables, and the
// rules of others in table nat that lead to ports of this host. It writes and
// loads nothing. What only nftables itself can show is left out.
func (b *Backend) Survey(ctx context.Context) ([]Table, []Detour, error) {
	local, err := localAddrs()
	if err != nil {
		return nil, nil, err
	}
	var tables []Table
	var detours []Detour
	for _, t := range slices.Concat(b.current(), b.others) {
		s := savedText{tool: t, local: local}
		if err := s.read(ctx); err != nil {
			return nil, nil, fmt.Errorf("read the %v rules of iptables-%v: %w", t.family, t.variant, err)
		}
		tables, detours = append(tables, s.tables...), append(detours, s.detours...)
	}
	return tables, detours, nil
}

// current returns the tools that we write with.
func (b *Backend) current() []*tool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.tools)
}

// WithoutIPv6 says why this host's IPv6 is not redirected; nil if it is.
func (b *Backend) WithoutIPv6() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.noIPv6
}

// savedText is what a save command has printed.
type savedText struct {
	tool    *tool
	local   []netip.Addr
	table   string
	tables  []Table
	detours []Detour
}

// read takes in all tables. Of x_tables each is asked for by name: to find them,
// iptables-legacy-save would look where a sandbox may hide them.
func (s *savedText) read(ctx context.Context) error {
	calls := [][]string{{s.tool.save}}
	if s.tool.variant == Legacy {
		calls = nil
		for _, table := range []string{"raw", "mangle", "nat", "filter", "security"} {
			if legacyTable(s.tool.family, table) {
				calls = append(calls, []string{s.tool.save, "-t", table})
			}
		}
	}
	for _, argv := range calls {
		text, err := run(ctx, commandTimeout, "", argv...)
		if err != nil && !isUnavailable(err) {
			return err
		}
		for line := range strings.Lines(text) {
			s.line(strings.TrimRight(line, "\r\n"))
		}
	}
	return nil
}

func (s *savedText) line(line string) {
	used := func() {
		t := Table{s.tool.variant, s.tool.family, s.table}
		if !slices.Contains(s.tables, t) {
			s.tables = append(s.tables, t)
		}
	}
	switch {
	case strings.HasPrefix(line, "*"):
		s.table = line[1:]
	case strings.HasPrefix(line, ":"):
		if _, policy, _ := strings.Cut(line, " "); strings.HasPrefix(policy, "DROP") {
			used()
		}
	case strings.HasPrefix(line, "-A "):
		used()
		if s.table == "nat" {
			s.detour(line)
		}
	}
}

// detour notes where a rule of table nat leads, unless it is one of ours or of
// the library's.
func (s *savedText) detour(line string) {
	chain, spec, _ := strings.Cut(line[len("-A "):], " ")
	if strings.HasPrefix(chain, chainPrefix) || strings.HasPrefix(chain, libraryPrefix) || !strings.Contains(spec, " --to-") {
		return
	}
	r, ok := parseForeign(spec)
	if !ok {
		return
	}
	port := s.leadsTo(r.target)
	if port == 0 {
		return
	}
	s.detours = append(s.detours, Detour{s.tool.family, fmt.Sprintf("%s -t nat: %s", s.tool.name, line), port})
}

// leadsTo returns the port of this host that a target leads to, 0 if there is
// none.
func (s *savedText) leadsTo(target []string) uint16 {
	for i := 0; i+1 < len(target); i++ {
		port := target[i+1]
		switch target[i] {
		case "--to-ports":
		case "--to-destination":
			colon := strings.LastIndexByte(port, ':')
			if colon < 0 {
				return 0
			}
			host := strings.Trim(port[:colon], "[]")
			if addr, err := netip.ParseAddr(host); err == nil && !addr.IsLoopback() && !slices.Contains(s.local, addr.Unmap()) || err != nil && host != "" {
				return 0
			}
			port = port[colon+1:]
		default:
			continue
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return 0
		}
		return uint16(n)
	}
	return 0
}
