package iptables

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// reach says who reaches the public port.
type reach struct{ Client, Stranger, Loopback bool }

// firewallTest is a host firewall, and what a redirect of port 443 does to it.
type firewallTest struct {
	rules  []string // commands of iptables; NET is the client's address
	before reach    // when the server itself listens on the public port
	broken reach    // once it is redirected
	want   []string // findings: kind, rule and fix, with IPT for the command
}

var firewallTests = map[string]firewallTest{
	"no firewall": {
		before: reach{true, true, true}, broken: reach{true, true, true},
	},
	"default-drop policy with the public port accepted": {
		rules: []string{
			"-A INPUT -i lo -j ACCEPT",
			"-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
			"-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
			"-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT",
			"-P INPUT DROP",
		},
		before: reach{true, true, true}, broken: reach{false, false, true},
		want: []string{
			"void-accept | IPT -t filter: -A INPUT -p tcp -m tcp --dport 443 -j ACCEPT | IPT -I INPUT 4 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j ACCEPT",
			"cut-off | IPT -t filter: -P INPUT DROP | IPT -I INPUT 4 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j ACCEPT",
		},
	},
	"DROP on the public port": {
		rules:  []string{"-A INPUT -p tcp -m tcp --dport 443 -j DROP"},
		before: reach{}, broken: reach{true, true, true},
		want: []string{
			"void-drop | IPT -t filter: -A INPUT -p tcp -m tcp --dport 443 -j DROP | IPT -I INPUT -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j DROP",
		},
	},
	"default-drop policy alone": {
		rules:  []string{"-P INPUT DROP", "-A INPUT -i lo -j ACCEPT"},
		before: reach{false, false, true}, broken: reach{false, false, true},
		want: []string{
			"cut-off | IPT -t filter: -P INPUT DROP | IPT -A INPUT -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j ACCEPT",
		},
	},
	"one network accepted, the rest of the port dropped": {
		rules: []string{
			"-A INPUT -s NET -p tcp -m tcp --dport 443 -j ACCEPT",
			"-A INPUT -i wire -p tcp -m tcp --dport 443 -j DROP",
		},
		before: reach{true, false, true}, broken: reach{true, true, true},
		want: []string{
			"void-drop | IPT -t filter: -A INPUT -i wire -p tcp -m tcp --dport 443 -j DROP | IPT -I INPUT 2 -i wire -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j DROP",
			"void-accept | IPT -t filter: -A INPUT -s NET -p tcp -m tcp --dport 443 -j ACCEPT | IPT -I INPUT -s NET -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j ACCEPT",
		},
	},
	"one network accepted, all else rejected at the end": {
		rules: []string{
			"-A INPUT -i lo -j ACCEPT",
			"-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT",
			"-A INPUT -s NET -p tcp -m state --state NEW -m multiport --dports 80,443 -m comment --comment web -j ACCEPT",
			"-A INPUT -j REJECT",
		},
		before: reach{true, false, true}, broken: reach{false, false, true},
		// The cut-off's fix must not open the port to everybody.
		want: []string{
			"void-accept | IPT -t filter: -A INPUT -s NET -p tcp -m state --state NEW -m multiport --dports 80,443 -m comment --comment web -j ACCEPT | IPT -I INPUT 3 -s NET -p tcp -m state --state NEW -m comment --comment web -m conntrack --ctstate DNAT --ctorigdstport 443 -j ACCEPT",
			"cut-off | IPT -t filter: -A INPUT -j REJECT --reject-with PORT-UNREACH | IPT -I INPUT 3 -s NET -p tcp -m state --state NEW -m comment --comment web -m conntrack --ctstate DNAT --ctorigdstport 443 -j ACCEPT",
		},
	},
	"everything but another port dropped": {
		rules:  []string{"-A INPUT -i wire -p tcp -m tcp ! --dport 443 -j DROP"},
		before: reach{true, true, true}, broken: reach{false, false, true},
		want: []string{
			"cut-off | IPT -t filter: -A INPUT -i wire -p tcp -m tcp ! --dport 443 -j DROP | IPT -I INPUT -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j ACCEPT",
		},
	},
	"banned hosts in a chain of their own": {
		rules: []string{
			"-N f2b-web", "-A f2b-web -s STRANGER -j REJECT", "-A f2b-web -j RETURN",
			"-A INPUT -p tcp -m multiport --dports 80,443 -j f2b-web",
		},
		before: reach{true, false, true}, broken: reach{true, true, true},
		want: []string{
			"void-drop | IPT -t filter: -A INPUT -p tcp -m multiport --dports 80,443 -j f2b-web | IPT -I INPUT -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j f2b-web",
		},
	},
	"chains within chains": {
		rules: []string{
			"-N fw-input", "-N fw-user", "-N fw-log",
			"-A INPUT -j fw-input",
			"-A fw-input -i lo -j ACCEPT",
			"-A fw-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
			"-A fw-input -m conntrack --ctstate INVALID -j DROP",
			"-A fw-input -j fw-user",
			"-A fw-input -j fw-log",
			"-A fw-user -p tcp -m tcp --dport 22 -j ACCEPT",
			"-A fw-user -p tcp -m tcp --dport 443 -j ACCEPT",
			"-A fw-user -p udp -m udp --dport 443 -j ACCEPT",
			"-A fw-log -m limit --limit 3/min -j LOG",
			"-A fw-log -j DROP",
		},
		before: reach{true, true, true}, broken: reach{false, false, true},
		want: []string{
			"void-accept | IPT -t filter: -A fw-user -p tcp -m tcp --dport 443 -j ACCEPT | IPT -I fw-user 2 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j ACCEPT",
			"cut-off | IPT -t filter: -A fw-log -j DROP | IPT -I fw-user 2 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j ACCEPT",
		},
	},
	"redirected connections already accepted": {
		rules: []string{
			"-A INPUT -i lo -j ACCEPT",
			"-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT",
			"-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT",
			"-P INPUT DROP",
		},
		before: reach{true, true, true}, broken: reach{true, true, true},
	},
	"the private ports accepted": {
		rules: []string{
			"-A INPUT -i lo -j ACCEPT",
			"-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
			"-A INPUT -p tcp -m tcp --dport 61000:64999 --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT",
			"-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT",
			"-P INPUT DROP",
		},
		before: reach{true, true, true}, broken: reach{true, true, true},
	},
	"rules for other ports, protocols and addresses": {
		rules: []string{
			"-A INPUT -p tcp -m tcp --dport 22 -j DROP",
			"-A INPUT -p udp -m udp --dport 443 -j DROP",
			"-A INPUT -d ELSEWHERE -p tcp -m tcp --dport 443 -j DROP",
			"-A INPUT -p tcp -m tcp --sport 80 -j DROP",
		},
		before: reach{true, true, true}, broken: reach{true, true, true},
	},
}

// TestForeignInput builds each firewall, sees with real connections what the
// redirect does to it, and that the printed fixes, word for word, put it right.
func TestForeignInput(t *testing.T) {
	for _, v := range variants {
		for name, tt := range firewallTests {
			for _, f := range families {
				t.Run(v.String()+"/"+f.String()+"/"+name, func(t *testing.T) {
					t.Parallel()
					testFirewall(t, v, f, tt)
				})
			}
		}
	}
}

func testFirewall(t *testing.T, v Variant, f nat.Family, tt firewallTest) {
	server, client := newHosts(t)
	serve(t, 443, "public")
	serve(t, 61001, "private")
	b := newBackend(t, v)
	expand := strings.NewReplacer(
		"IPT", b.tools[f>>1].name,
		"NET", hostPrefix(clientAddr[f]),
		"STRANGER", hostPrefix(strangerAddr[f]),
		"ELSEWHERE", map[nat.Family]string{nat.IPv4: "198.51.100.9/32", nat.IPv6: "2001:db8:9::9/128"}[f],
		"PORT-UNREACH", map[nat.Family]string{nat.IPv4: "icmp-port-unreachable", nat.IPv6: "icmp6-port-unreachable"}[f],
	).Replace
	for _, rule := range tt.rules {
		ipt(t, v, f, expand(rule))
	}
	check := func(when string, want reach) {
		t.Helper()
		if d := cmp.Diff(want, tryReach(server, client, f, want)); d != "" {
			t.Errorf("%s: %s", when, d)
		}
	}
	rd := web(v1, 61001)
	check("before", tt.before)
	mustApply(t, b, rd)
	check("redirected", tt.broken)

	found := foreign(t, b, rd)
	var want []string
	for _, line := range tt.want {
		want = append(want, expand(line))
	}
	if d := cmp.Diff(want, summaries(found)); d != "" {
		t.Errorf("findings: %s", d)
	}
	for _, fi := range found {
		if fi.Family != f || fi.Endpoint != rd.Targets[0].Endpoint || !strings.Contains(fi.Message, "443") {
			t.Errorf("finding %+v", fi)
		}
		applyFix(t, fi)
	}
	if len(found) == 0 {
		return
	}
	fixed := tt.before
	if name, ok := strings.CutPrefix(found[0].Rule, b.tools[f>>1].name+" -t filter: -P INPUT "); ok && name == "DROP" && len(found) == 1 {
		fixed = reach{true, true, true} // nothing let anybody in before, either
	}
	check("fixed", fixed)
	if d := cmp.Diff([]string(nil), summaries(foreign(t, b, rd))); d != "" {
		t.Errorf("findings after the fix: %s", d)
	}
}

func foreign(t *testing.T, b *Backend, redirects ...nat.Redirect) []nat.Finding {
	t.Helper()
	found, err := b.Foreign(testContext(t), redirects)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// applyFix types in the fix, again if another test has the xtables lock.
func applyFix(t *testing.T, f nat.Finding) {
	t.Helper()
	var err error
	waitFor(t, "the xtables lock", func() bool {
		_, err = run(t.Context(), commandTimeout, "", "sh", "-c", f.Fix)
		return !errors.Is(err, ErrLockBusy)
	})
	if err != nil {
		t.Errorf("fix %q: %v", f.Fix, err)
	}
}

func summaries(found []nat.Finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, string(f.Kind)+" | "+f.Rule+" | "+f.Fix)
	}
	return all
}

func hostPrefix(addr string) string {
	a := netip.MustParseAddr(addr)
	return netip.PrefixFrom(a, a.BitLen()).String()
}

// tryReach dials the public port from three sides at once. Where a connection is
// expected it may take its time.
func tryReach(server, client *host, f nat.Family, want reach) (got reach) {
	dial := func(h *host, from string, to netip.Addr, want bool) bool {
		timeout := 300 * time.Millisecond
		if want {
			timeout = 10 * time.Second
		}
		d := net.Dialer{Timeout: timeout}
		if from != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
		}
		return h.do(func() error {
			c, err := d.Dial("tcp", netip.AddrPortFrom(to, 443).String())
			if err == nil {
				err = c.Close()
			}
			return err
		}) == nil
	}
	var all sync.WaitGroup
	all.Go(func() { got.Client = dial(client, clientAddr[f], serverAddr[f], want.Client) })
	all.Go(func() { got.Stranger = dial(client, strangerAddr[f], serverAddr[f], want.Stranger) })
	all.Go(func() { got.Loopback = dial(server, "", loopback[f], want.Loopback) })
	all.Wait()
	return got
}

// TestForeignNAT: rules that translate the public port before ours can.
func TestForeignNAT(t *testing.T) {
	const mine = "-t nat -I PREROUTING 1 "
	tests := map[string]struct {
		rules []string
		taken bool   // a client's connection in fact
		want  string // the finding's rule; "" if there is none
		says  string
	}{
		"redirects our port":       {[]string{mine + "-p tcp --dport 443 -j REDIRECT --to-ports 9999"}, true, "-A PREROUTING -p tcp -m tcp --dport 443 -j REDIRECT --to-ports 9999", "takes"},
		"redirects a range":        {[]string{mine + "-p tcp --dport 400:500 -j REDIRECT --to-ports 9999"}, true, "-A PREROUTING -p tcp -m tcp --dport 400:500 -j REDIRECT --to-ports 9999", "takes"},
		"one interface":            {[]string{mine + "-i wire -p tcp -m multiport --dports 80,443 -j REDIRECT --to-ports 9999"}, true, "-A PREROUTING -i wire -p tcp -m multiport --dports 80,443 -j REDIRECT --to-ports 9999", "may take"},
		"one client":               {[]string{mine + "-s 192.0.2.2 -p tcp -j ACCEPT"}, true, "-A PREROUTING -s 192.0.2.2/32 -p tcp -j ACCEPT", "may take"},
		"returns from the chain":   {[]string{mine + "-p tcp --dport 443 -j RETURN"}, true, "-A PREROUTING -p tcp -m tcp --dport 443 -j RETURN", "takes"},
		"in a chain":               {[]string{"-t nat -N FOO", "-t nat -A FOO -p udp -j RETURN", "-t nat -A FOO -d 192.0.2.1 -p tcp -j DNAT --to-destination 192.0.2.1:9999", mine + "-m addrtype --dst-type LOCAL -j FOO"}, true, "-A FOO -d 192.0.2.1/32 -p tcp -j DNAT --to-destination 192.0.2.1:9999", "may take"},
		"returns from its chain":   {[]string{"-t nat -N FOO", "-t nat -A FOO -p tcp -j RETURN", "-t nat -A FOO -j ACCEPT", mine + "-j FOO"}, false, "", ""},
		"another port":             {[]string{mine + "-p tcp --dport 80 -j REDIRECT --to-ports 9999"}, false, "", ""},
		"another address":          {[]string{mine + "-d 198.51.100.9 -p tcp --dport 443 -j DNAT --to-destination 192.0.2.2:9999"}, false, "", ""},
		"another protocol":         {[]string{mine + "-p udp --dport 443 -j REDIRECT --to-ports 9999"}, false, "", ""},
		"a port and not another":   {[]string{mine + "-p tcp ! --dport 443 -j REDIRECT --to-ports 9999"}, false, "", ""},
		"goes on":                  {[]string{mine + "-p tcp --dport 443 -j LOG"}, false, "", ""},
		"behind our hook":          {[]string{"-t nat -A PREROUTING -p tcp --dport 443 -j REDIRECT --to-ports 9999"}, false, "", ""},
		"of this host's own scope": {[]string{"-t nat -I OUTPUT 1 -p tcp --dport 443 -j ACCEPT"}, false, "-A OUTPUT -p tcp -m tcp --dport 443 -j ACCEPT", "takes"},
	}
	for _, v := range variants {
		for name, tt := range tests {
			t.Run(v.String()+"/"+name, func(t *testing.T) {
				t.Parallel()
				_, client := newHosts(t)
				serve(t, 61001, "ours")
				b := newBackend(t, v)
				rd := web(v1, 61001)
				mustApply(t, b, rd)
				for _, rule := range tt.rules {
					ipt(t, v, nat.IPv4, rule)
				}
				taken := func() bool {
					word, _ := client.ask(netip.AddrPortFrom(serverAddr[nat.IPv4], 443))
					return word != "ours"
				}
				if got := taken(); got != tt.taken {
					t.Errorf("taken: %v, want %v", got, tt.taken)
				}
				found := foreign(t, b, rd)
				if tt.want == "" {
					if len(found) != 0 {
						t.Errorf("found %+v", found)
					}
					return
				}
				if len(found) != 1 || found[0].Kind != nat.Taken || found[0].Family != nat.IPv4 ||
					found[0].Rule != b.tools[0].name+" -t nat: "+tt.want || !strings.Contains(found[0].Message, tt.says) {
					t.Fatalf("found %+v, want %q", found, tt.want)
				}
				// The fix is a second hook ahead of all; Apply leaves that one.
				applyFix(t, found[0])
				mustApply(t, b, rd)
				if taken() {
					t.Error("still taken")
				}
				if found := foreign(t, b, rd); len(found) != 0 {
					t.Errorf("after the fix: %+v", found)
				}
				if !strings.Contains(ipt(t, v, nat.IPv4, "-t nat -S"), tt.want) {
					t.Error("the foreign rule is gone")
				}
			})
		}
	}
}

// TestForeignOtherVariant: rules of the iptables that we do not write with.
func TestForeignOtherVariant(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		ipt(t, v.other(), nat.IPv6, "-t nat -A PREROUTING -p tcp --dport 443 -j REDIRECT --to-ports 9999")
		ipt(t, v.other(), nat.IPv4, "-A INPUT -p tcp --dport 443 -j DROP")
		b := newBackend(t, v)
		rd := web(v1, 61001)
		mustApply(t, b, rd)
		name4, name6 := v.other().command(nat.IPv4), v.other().command(nat.IPv6)
		if v.other() == NFT {
			name4, name6 = "iptables", "ip6tables" // as on this machine
		}
		want := []string{
			"void-drop | " + name4 + " -t filter: -A INPUT -p tcp -m tcp --dport 443 -j DROP | " + name4 + " -I INPUT -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j DROP",
			"taken | " + name6 + " -t nat: -A PREROUTING -p tcp -m tcp --dport 443 -j REDIRECT --to-ports 9999 | ",
		}
		if d := cmp.Diff(want, summaries(foreign(t, b, rd))); d != "" {
			t.Error(d)
		}
	})
}

// TestForeignFixesInOrder: several rules of one chain, several endpoints.
func TestForeignFixesInOrder(t *testing.T) {
	newNetns(t)
	for _, rule := range []string{
		"-A INPUT -p tcp -m multiport --dports 80,443 -s 192.0.2.0/24 -j ACCEPT",
		"-A INPUT -p tcp --dport 80 -j REJECT",
		"-A INPUT -p tcp --dport 443 -j DROP",
	} {
		ipt(t, NFT, nat.IPv4, rule)
	}
	b := newBackend(t, NFT)
	rd := web(v1, 61001)
	rd.Targets = append(rd.Targets, target("", 80, 61002, nat.DualStack))
	mustApply(t, b, rd)
	for _, f := range foreign(t, b, rd) {
		applyFix(t, f)
	}
	want := `-P INPUT ACCEPT
-A INPUT -s 192.0.2.0/24 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 80 -j ACCEPT
-A INPUT -s 192.0.2.0/24 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j ACCEPT
-A INPUT -s 192.0.2.0/24 -p tcp -m multiport --dports 80,443 -j ACCEPT
-A INPUT -p tcp -m conntrack --ctstate DNAT --ctorigdstport 80 -j REJECT --reject-with icmp-port-unreachable
-A INPUT -p tcp -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable
-A INPUT -p tcp -m conntrack --ctstate DNAT --ctorigdstport 443 -j DROP
-A INPUT -p tcp -m tcp --dport 443 -j DROP
`
	if d := cmp.Diff(want, ipt(t, NFT, nat.IPv4, "-S INPUT")); d != "" {
		t.Error(d)
	}
	if found := foreign(t, b, rd); len(found) != 0 {
		t.Errorf("after the fixes: %+v", found)
	}
}

// TestForeignAdopted: a public port that is its own private port is not
// translated, so that no rule is void.
func TestForeignAdopted(t *testing.T) {
	newNetns(t)
	ipt(t, NFT, nat.IPv4, "-A INPUT -p tcp --dport 443 -j DROP")
	b := newBackend(t, NFT)
	if found := foreign(t, b, web(v1, 443)); len(found) != 0 {
		t.Errorf("found %+v", found)
	}
}

// TestForeignTooManyWays: chains that lead to each next one twice have 2^n ways
// through them.
func TestForeignTooManyWays(t *testing.T) {
	newNetns(t)
	const chains = 15 // the kernel itself lets chains be 16 deep
	script := "*filter\n"
	for i := range chains {
		script += fmt.Sprintf(":C%d - [0:0]\n", i)
	}
	for i := range chains - 1 {
		for range 3 {
			script += fmt.Sprintf("-A C%d -p tcp -j C%d\n", i, i+1)
		}
	}
	commandInput(t, script+"-A INPUT -j C0\nCOMMIT\n", "iptables-legacy-restore", "-w")
	var log strings.Builder
	b, err := New(t.Context(), Options{Log: textLog(&log), Variant: Legacy})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if found := foreign(t, b, web(v1, 61001)); len(found) != 0 {
		t.Errorf("found %+v", found)
	}
	if took := time.Since(begun); took > 20*time.Second || !strings.Contains(log.String(), errTooManyRules.Error()) {
		t.Errorf("took %v, said %q", took, log.String())
	}
}
