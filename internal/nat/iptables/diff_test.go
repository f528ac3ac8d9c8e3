package iptables

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// names of chains of the service "web", in rules that tests expect.
var (
	webChain = chainPrefix + nat.Key("web")
	web1     = chainPrefix + nat.ActivationKey("web", v1)
	web2     = chainPrefix + nat.ActivationKey("web", v2)
	note1    = ` -m comment --comment "` + comment(nat.Key("web"), v1) + `"`
	note2    = ` -m comment --comment "` + comment(nat.Key("web"), v2) + `"`
)

const hookSpec = "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m addrtype --dst-type LOCAL -m comment --comment switcheroo -j "

func layoutOf(t *testing.T, redirects ...nat.Redirect) layout {
	t.Helper()
	l, err := newLayout(nat.Rules{Redirects: redirects}, nat.IPv4)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// installed is the snapshot of a layout that was applied.
func installed(l layout) snapshot {
	s := snapshot{chains: map[string][]rule{}, pinned: map[string]string{}}
	for name, rules := range l {
		s.chains[name] = append([]rule(nil), rules...)
	}
	for _, b := range bases {
		if _, ok := l[b.name]; ok {
			s.hooks = append(s.hooks, hook{b.builtin, 3, b.name, hookSpec + b.name, b.hook()})
		}
	}
	return s
}

func TestDiff(t *testing.T) {
	network := func(rd nat.Redirect) nat.Redirect { rd.Scope = nat.Network; return rd }
	old := layoutOf(t, network(web(v1, 8443)))
	tests := map[string]struct {
		have snapshot
		want layout
		text string
	}{
		"nothing to do":                 {installed(old), old, ""},
		"nothing wanted, nothing there": {snapshot{}, layout{}, ""},
		"a switch replaces one rule in place": {installed(old), layoutOf(t, network(web(v2, 8444))), "" +
			":" + web2 + " - [0:0]\n" +
			"-A " + web2 + " -p tcp -m tcp --dport 443" + note2 + " -j DNAT --to-destination :8444\n" +
			"-R " + webChain + " 1" + note2 + " -j " + web2 + "\n" +
			"-F " + web1 + "\n" +
			"-X " + web1 + "\n"},
		"another port of the same activation": {installed(old), layoutOf(t, network(web(v1, 9999))), "" +
			"-R " + web1 + " 1 -p tcp -m tcp --dport 443" + note1 + " -j DNAT --to-destination :9999\n"},
		"the base stays when its last service goes": {installed(old), layout{}, "" +
			"-D SW-NETWORK 1\n-F " + webChain + "\n-F " + web1 + "\n-X " + webChain + "\n-X " + web1 + "\n"},
		"all of it": {installed(old), nil, "" +
			"-D PREROUTING " + hookSpec + "SW-NETWORK\n" +
			"-F " + webChain + "\n-F SW-NETWORK\n-F " + web1 + "\n" +
			"-X " + webChain + "\n-X SW-NETWORK\n-X " + web1 + "\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want := tt.text
			if want != "" {
				want = "*nat\n" + want + "COMMIT\n"
			}
			if d := cmp.Diff(want, diff(tt.have, tt.want)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDiffHooks(t *testing.T) {
	l := layoutOf(t, web(v1, 8443))
	network, localhost := bases[0].hook(), bases[1].hook()
	ok := func(chain string, pos int, r rule) hook { return hook{chain, pos, r.jump, hookSpec + r.jump, r} }
	altered := func(chain string, pos int, spec string) hook {
		jump, _ := glance(spec)
		return hook{chain, pos, jump, spec, parseRule(spec)}
	}
	const foreign = `-i eth0 -m comment --comment switcheroo -j SW-NETWORK`
	out := ok("OUTPUT", 1, localhost)
	tests := map[string]struct {
		have []hook
		want string
	}{
		"both there, wherever":   {[]hook{ok("PREROUTING", 7, network), ok("OUTPUT", 9, localhost)}, ""},
		"one missing goes first": {[]hook{out}, "-I PREROUTING 1 " + hookSpec + "SW-NETWORK\n"},
		"one altered keeps its place": {[]hook{altered("PREROUTING", 4, foreign), out}, "" +
			"-D PREROUTING " + foreign + "\n" +
			"-I PREROUTING 4 " + hookSpec + "SW-NETWORK\n"},
		"of several, the place of the first": {[]hook{ok("PREROUTING", 2, network), ok("PREROUTING", 5, network), out}, "" +
			"-D PREROUTING " + hookSpec + "SW-NETWORK\n" +
			"-D PREROUTING " + hookSpec + "SW-NETWORK\n" +
			"-I PREROUTING 2 " + hookSpec + "SW-NETWORK\n"},
		"in the wrong chain": {[]hook{ok("PREROUTING", 1, localhost), ok("PREROUTING", 2, network), ok("INPUT", 1, network), out}, "" +
			"-D PREROUTING " + hookSpec + "SW-LOCALHOST\n" +
			"-D PREROUTING " + hookSpec + "SW-NETWORK\n" +
			"-D INPUT " + hookSpec + "SW-NETWORK\n" +
			"-I PREROUTING 1 " + hookSpec + "SW-NETWORK\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			have := installed(l)
			have.hooks = tt.have
			want := tt.want
			if want != "" {
				want = "*nat\n" + want + "COMMIT\n"
			}
			if d := cmp.Diff(want, diff(have, l)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDiffPinnedChain(t *testing.T) {
	have := installed(layoutOf(t, web(v1, 8443)))
	have.pinned[web1] = "-A FOO -j " + web1
	script := diff(have, layoutOf(t, web(v2, 8444)))
	if strings.Contains(script, "-X") || !strings.Contains(script, "-F "+web1+"\n") {
		t.Errorf("a chain that a foreign rule leads to shall be emptied and stay:\n%s", script)
	}
	// Once empty, it is left alone.
	have = installed(layoutOf(t, web(v2, 8444)))
	have.chains[web1] = nil
	have.pinned[web1] = "-A FOO -j " + web1
	if script := diff(have, layoutOf(t, web(v2, 8444))); script != "" {
		t.Errorf("would write:\n%s", script)
	}
}

// TestDiffManyServices: a service more or less is one line in the base.
func TestDiffManyServices(t *testing.T) {
	const n = 1000
	var some []nat.Redirect
	for i := range n {
		some = append(some, nat.Redirect{Service: fmt.Sprint("s", i), Activation: v1, Scope: nat.Network,
			Targets: []nat.Target{target("", uint16(1000+i), uint16(40000+i), nat.IPv4)}})
	}
	all, fewer := layoutOf(t, some...), layoutOf(t, some[1:]...)
	if got := strings.Count(diff(installed(fewer), all), "\n"); got != 2+2+1+1+1 {
		t.Errorf("one more service takes %d lines", got)
	}
	if got := strings.Count(diff(installed(all), fewer), "\n"); got != 2+1+2+2 {
		t.Errorf("one less takes %d lines", got)
	}
}
