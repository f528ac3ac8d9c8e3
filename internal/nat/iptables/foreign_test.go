package iptables

import (
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
		command(t, "sh", "-c", fi.Fix)
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
