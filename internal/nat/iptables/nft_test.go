package iptables

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/switcheroo/switcheroo/internal/nat"
)

const dialled443 = "meta l4proto tcp ct status dnat ct original proto-dst 443"

// nftFirewallTests are firewalls of nftables itself: the chain "input" of table
// "inet filter" and what stands before it.
var nftFirewallTests = map[string]struct {
	chains string // others of the table, and sets
	policy string
	rules  []string
	before reach
	broken reach
	fixed  reach
	want   []string
}{
	"default-drop policy with the public port accepted": {
		policy: "drop",
		rules:  []string{`iif "lo" accept`, "ct state established,related accept", "tcp dport 22 accept", "tcp dport 443 accept"},
		before: reach{true, true, true}, broken: reach{false, false, true}, fixed: reach{true, true, true},
		want: []string{
			"void-accept | inet filter input: tcp dport 443 accept | nft insert rule inet filter input handle # " + dialled443 + " accept",
			"cut-off | inet filter input: policy drop | nft insert rule inet filter input handle # " + dialled443 + " accept",
		},
	},
	"DROP on the public port": {
		policy: "accept",
		rules:  []string{"tcp dport 443 counter drop"},
		before: reach{}, broken: reach{true, true, true}, fixed: reach{},
		want: []string{
			"void-drop | inet filter input: tcp dport 443 counter packets N bytes N drop | nft insert rule inet filter input " + dialled443 + " counter drop",
		},
	},
	"default-drop policy alone": {
		policy: "drop",
		rules:  []string{`iifname "lo" accept`},
		before: reach{false, false, true}, broken: reach{false, false, true}, fixed: reach{true, true, true},
		want: []string{
			"cut-off | inet filter input: policy drop | nft add rule inet filter input " + dialled443 + " accept",
		},
	},
	"a set of ports for one network, all else rejected": {
		chains: "set web { type inet_service; flags interval; elements = { 80, 400-500 }; }",
		policy: "accept",
		rules: []string{`iif "lo" accept`, "ct state vmap { established : accept, related : accept, invalid : drop }",
			"ip saddr NET tcp dport @web accept comment \"web, inside\"", "ip6 saddr NET6 tcp dport @web accept", "meta l4proto != ipv6-icmp reject"},
		before: reach{true, false, true}, broken: reach{false, false, true}, fixed: reach{true, false, true},
		want: []string{
			"void-accept | inet filter input: ip saddr NET tcp dport @web accept comment \"web, inside\" | nft insert rule inet filter input handle # 'ip saddr NET " + dialled443 + " accept comment \"web, inside\"'",
			"cut-off | inet filter input: meta l4proto != ipv6-icmp reject | nft insert rule inet filter input handle # 'ip saddr NET " + dialled443 + " accept comment \"web, inside\"'",
			"void-accept | inet filter input: ip6 saddr NET6 tcp dport @web accept | nft insert rule inet filter input handle # ip6 saddr NET6 " + dialled443 + " accept",
			"cut-off | inet filter input: meta l4proto != ipv6-icmp reject | nft insert rule inet filter input handle # ip6 saddr NET6 " + dialled443 + " accept",
		},
	},
	"a verdict map of ports": {
		policy: "drop",
		rules:  []string{`iif "lo" accept`, "ct state established,related accept", "tcp dport vmap { 22 : accept, 80 : drop, 443 : accept }"},
		before: reach{true, true, true}, broken: reach{false, false, true}, fixed: reach{true, true, true},
		want: []string{
			"void-accept | inet filter input: tcp dport vmap { 22 : accept, 80 : drop, 443 : accept } | nft insert rule inet filter input handle # " + dialled443 + " accept",
			"cut-off | inet filter input: policy drop | nft insert rule inet filter input handle # " + dialled443 + " accept",
		},
	},
	"chains within chains": {
		chains: "chain services { tcp dport { 80, 443 } accept; }\nchain rest { log prefix \"no: \"; drop; }",
		policy: "accept",
		rules:  []string{`iif "lo" accept`, "ct state established,related accept", "jump services", "goto rest"},
		before: reach{true, true, true}, broken: reach{false, false, true}, fixed: reach{true, true, true},
		want: []string{
			"void-accept | inet filter services: tcp dport { 80, 443 } accept | nft insert rule inet filter services " + dialled443 + " accept",
			"cut-off | inet filter rest: drop | nft insert rule inet filter services " + dialled443 + " accept",
		},
	},
	"banned hosts": {
		policy: "accept",
		rules:  []string{"ip saddr STRANGER tcp dport 443 drop", "ip6 saddr STRANGER6 tcp dport 400-500 drop"},
		before: reach{true, false, true}, broken: reach{true, true, true}, fixed: reach{true, false, true},
		want: []string{
			"void-drop | inet filter input: ip saddr STRANGER tcp dport 443 drop | nft insert rule inet filter input ip saddr STRANGER " + dialled443 + " drop",
			"void-drop | inet filter input: ip6 saddr STRANGER6 tcp dport 400-500 drop | nft insert rule inet filter input handle # ip6 saddr STRANGER6 " + dialled443 + " drop",
		},
	},
	"redirected connections already accepted": {
		policy: "drop",
		rules:  []string{`iif "lo" accept`, "ct state established,related accept", "ct status dnat accept", "tcp dport 443 accept"},
		before: reach{true, true, true}, broken: reach{true, true, true},
	},
	"rules for other ports, protocols, addresses and interfaces": {
		policy: "accept",
		rules: []string{"tcp dport { 22, 80-90 } drop", "udp dport 443 drop", "tcp dport != { 1-65535 } drop", "ip daddr 198.51.100.9 tcp dport 443 drop",
			"ip6 daddr 2001:db8:9::/48 tcp dport 443 drop", "tcp sport 80 tcp flags syn drop", "meta l4proto { udp, icmp } drop", "tcp flags & (fin|rst) != 0 tcp dport 443 continue"},
		before: reach{true, true, true}, broken: reach{true, true, true},
	},
}

func TestForeignNFTables(t *testing.T) {
	for name, tt := range nftFirewallTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := newHosts(t)
			serve(t, 443, "public")
			serve(t, 61001, "private")
			expand := strings.NewReplacer("NET6", clientAddr[nat.IPv6], "NET", clientAddr[nat.IPv4],
				"STRANGER6", strangerAddr[nat.IPv6], "STRANGER", strangerAddr[nat.IPv4]).Replace
			commandInput(t, expand("table inet filter {\n"+tt.chains+"\nchain input {\ntype filter hook input priority filter; policy "+
				tt.policy+";\n"+strings.Join(tt.rules, "\n")+"\n}\n}\n"), "nft", "-f", "-")
			check := func(when string, want reach) {
				t.Helper()
				for _, f := range families {
					if d := cmp.Diff(want, tryReach(server, client, f, want)); d != "" {
						t.Errorf("%s, %v: %s", when, f, d)
					}
				}
			}
			b := newBackend(t, NFT)
			rd := web(v1, 61001)
			check("before", tt.before)
			mustApply(t, b, rd)
			check("redirected", tt.broken)
			found := foreign(t, b, rd)
			var want []string
			for _, line := range tt.want {
				want = append(want, expand(line))
			}
			if d := cmp.Diff(want, withoutNumbers(summaries(found))); d != "" {
				t.Errorf("findings: %s", d)
			}
			for _, f := range found {
				applyFix(t, f)
			}
			if len(found) == 0 {
				return
			}
			check("fixed", tt.fixed)
			if again := foreign(t, b, rd); len(again) != 0 {
				t.Errorf("findings after the fix: %+v\n%s", again, command(t, "nft", "-a", "list", "ruleset"))
			}
		})
	}
}

// withoutNumbers hides what differs from run to run.
func withoutNumbers(lines []string) []string {
	for i, line := range lines {
		line = regexpHandle.ReplaceAllString(line, "handle #")
		lines[i] = regexpCounter.ReplaceAllString(line, "packets N bytes N")
	}
	return lines
}

// TestForeignNativeChains: chains that nftables' own tools made in tables of
// the names that iptables uses.
func TestForeignNativeChains(t *testing.T) {
	newNetns(t)
	commandInput(t, `
		table ip filter {
			chain input { type filter hook input priority 0; policy accept; tcp dport 443 drop; }
		}
		table ip nat {
			chain prerouting { type nat hook prerouting priority -110; tcp dport 443 redirect to :9999; }
			chain output { type nat hook output priority -100; ip daddr 127.0.0.1 tcp dport { 80, 443 } dnat to 127.0.0.1:9999; }
			chain late { type nat hook prerouting priority -90; tcp dport 443 redirect to :9999; }
		}
		table inet switcheroo {
			chain guard { type filter hook input priority 0; tcp dport 443 drop; }
		}
		table netdev edge {
			chain in { type filter hook ingress device lo priority 0; tcp dport 443 accept; }
		}`, "nft", "-f", "-")
	b := newBackend(t, NFT)
	rd := web(v1, 61001)
	mustApply(t, b, rd)
	ipt(t, NFT, nat.IPv4, "-A INPUT -p tcp --dport 443 -j DROP")
	got := withoutNumbers(summaries(foreign(t, b, rd)))
	slices.Sort(got)
	want := []string{
		"taken | ip nat output: ip daddr 127.0.0.1 tcp dport { 80, 443 } dnat to 127.0.0.1:9999 | ",
		"taken | ip nat prerouting: tcp dport 443 redirect to :9999 | ",
		"void-drop | ip filter input: tcp dport 443 drop | nft insert rule ip filter input " + dialled443 + " drop",
		"void-drop | iptables -t filter: -A INPUT -p tcp -m tcp --dport 443 -j DROP | iptables -I INPUT -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j DROP",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestNFTWithoutItsCommand: the rules are in the kernel, whoever put them there.
func TestNFTWithoutItsCommand(t *testing.T) {
	newNetns(t)
	commandInput(t, `table inet filter { chain input { type filter hook input priority 0; policy drop; tcp dport 443 accept; }; }`, "nft", "-f", "-")
	b := newBackend(t, NFT)
	rd := web(v1, 61001)
	mustApply(t, b, rd)
	fakeCommands(t, nil)
	want := []string{
		"void-accept | inet filter input: rule with handle # | ",
		"cut-off | inet filter input: policy drop | nft add rule inet filter input " + dialled443 + " accept",
	}
	s := survey{backend: b, redirects: []nat.Redirect{rd}, read: map[string]bool{"ip filter INPUT": true, "ip6 filter INPUT": true}}
	if err := s.nftables(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, withoutNumbers(summaries(s.sorted()))); d != "" {
		t.Error(d)
	}
}

func TestCompileNFT(t *testing.T) {
	before := packet{family: nat.IPv4, port: 443}
	after := packet{family: nat.IPv4, port: 61001, orig: 443}
	tcp := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{6}},
	}
	port := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
	cmpPort := func(op expr.CmpOp, n uint16) expr.Any { return &expr.Cmp{Op: op, Register: 1, Data: net16(n)} }
	accept := &expr.Verdict{Kind: expr.VerdictAccept}
	tests := map[string]struct {
		exprs  []expr.Any
		before truth
		after  truth
	}{
		"eq":                 {[]expr.Any{port, cmpPort(expr.CmpOpEq, 443), accept}, yes, no},
		"neq":                {[]expr.Any{port, cmpPort(expr.CmpOpNeq, 443), accept}, no, yes},
		"lt":                 {[]expr.Any{port, cmpPort(expr.CmpOpLt, 443), accept}, no, no},
		"lte":                {[]expr.Any{port, cmpPort(expr.CmpOpLte, 443), accept}, yes, no},
		"gt":                 {[]expr.Any{port, cmpPort(expr.CmpOpGt, 443), accept}, no, yes},
		"gte":                {[]expr.Any{port, cmpPort(expr.CmpOpGte, 443), accept}, yes, yes},
		"a range in two":     {[]expr.Any{port, cmpPort(expr.CmpOpGte, 400), cmpPort(expr.CmpOpLte, 500), accept}, yes, no},
		"range":              {[]expr.Any{port, &expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: net16(400), ToData: net16(500)}, accept}, yes, no},
		"not in a range":     {[]expr.Any{port, &expr.Range{Op: expr.CmpOpNeq, Register: 1, FromData: net16(400), ToData: net16(500)}, accept}, no, yes},
		"another protocol":   {[]expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{17}}, port, cmpPort(expr.CmpOpEq, 443), accept}, no, no},
		"a limit":            {[]expr.Any{port, cmpPort(expr.CmpOpEq, 443), &expr.Limit{}, accept}, maybe, no},
		"what was left out":  {[]expr.Any{port, cmpPort(expr.CmpOpEq, 443), cmpPort(expr.CmpOpEq, 1), accept}, maybe, no},
		"nothing was loaded": {[]expr.Any{cmpPort(expr.CmpOpEq, 443), accept}, maybe, maybe},
		"part of a value":    {[]expr.Any{port, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{1}}, accept}, maybe, maybe},
		"port dialled":       {[]expr.Any{&expr.Ct{Key: expr.CtKeyPROTODST, Register: 1}, cmpPort(expr.CmpOpEq, 443), accept}, yes, yes},
		"redirected": {[]expr.Any{&expr.Ct{Key: expr.CtKeySTATUS, Register: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: host32(statusDNAT), Xor: host32(0)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: host32(0)}, accept}, no, yes},
		"established": {[]expr.Any{&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: host32(6), Xor: host32(0)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: host32(0)}, accept}, no, no},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := compileNFT(append(slices.Clone(tcp), tt.exprs...), nil)
			if len(r.verdicts) != 1 {
				t.Errorf("%d verdicts", len(r.verdicts))
			}
			if b, a := r.match(before), r.match(after); b != tt.before || a != tt.after {
				t.Errorf("before %v, after %v; want %v, %v", b, a, tt.before, tt.after)
			}
		})
	}
}

func TestRangesOf(t *testing.T) {
	element := func(n uint16, end bool) nftables.SetElement {
		return nftables.SetElement{Key: net16(n), IntervalEnd: end}
	}
	show := func(ranges []elementRange) (all [][2]uint16) {
		for _, r := range ranges {
			all = append(all, [2]uint16{uint16(r.low[0])<<8 | uint16(r.low[1]), uint16(r.high[0])<<8 | uint16(r.high[1])})
		}
		return all
	}
	tests := map[string]struct {
		elements []nftables.SetElement
		want     [][2]uint16
	}{
		"values":     {[]nftables.SetElement{element(443, false), element(80, false)}, [][2]uint16{{80, 80}, {443, 443}}},
		"intervals":  {[]nftables.SetElement{element(501, true), element(400, false), element(81, true), element(80, false), element(0, true)}, [][2]uint16{{80, 80}, {400, 500}}},
		"to the end": {[]nftables.SetElement{element(0, true), element(1024, false)}, [][2]uint16{{1024, 65535}}},
		"borrow":     {[]nftables.SetElement{element(512, true), element(1, false)}, [][2]uint16{{1, 511}}},
		"nothing":    {nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, show(rangesOf(tt.elements))); d != "" {
				t.Error(d)
			}
		})
	}
}

func FuzzVerdictOfElement(f *testing.F) {
	f.Add([]byte{8, 0, 1, 0, 0xff, 0xff, 0xff, 0xfd, 8, 0, 2, 0, 'w', 'e', 'b', 0})
	f.Add([]byte{8, 0, 1, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, val []byte) {
		v := verdictOfElement(nftables.SetElement{Val: val})
		r := compileNFT(nil, nil)
		r.verdict(nil, v)
		if v == nil && len(r.verdicts) != 0 {
			t.Error("a verdict out of nothing")
		}
	})
}
