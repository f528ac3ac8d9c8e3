package doctor

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// Of a host of which nothing bad is known, nothing is said.
func TestHealth(t *testing.T) {
	for name, f := range map[string]Facts{
		"nothing is known": {},
		"all is well": {
			Conntrack: Use{100, 262144}, Ephemeral: Ports{32768, 60999}, Private: Ports{61000, 64999},
			Fixed:  []Fixed{{"a@1.service", 61001}, {"b@1.service", 20001}},
			Tables: []Table{{"nft", "IPv4", "nat"}, {"nft", "IPv4", "filter"}},
			Listeners: []Listener{
				{Unit: "a@1.service", Addr: netip.MustParseAddrPort("[::]:61001"), Guard: true, Guarded: true},
				{Unit: "b@1.service", Addr: netip.MustParseAddrPort("127.0.0.1:20001"), Guard: true},
				{Unit: "c.service", Addr: netip.MustParseAddrPort("0.0.0.0:443"), Guard: true, Public: true},
			},
			NoIPv6:     "the kernel has it switched off",
			Lifecycles: []Lifecycle{{Unit: "a@1.service", Ordered: true, Drains: true, Drain: time.Minute, StopTimeout: 90 * time.Second}},
		},
	} {
		d := Examine(f)
		if len(d.Ailments) > 0 || len(d.Checks) != len(checks) {
			t.Errorf("%s: %+v", name, d)
		}
		for _, e := range d.Checks {
			if e.Result != api.Healthy || e.About == "" || e.Reason != "" {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

// Each check finds what it is for, and says what, where, and what to do.
func TestAilments(t *testing.T) {
	ever := time.Duration(1<<63 - 1)
	for name, c := range map[string]struct {
		facts Facts
		want  []string // severity, check, where, and the beginning of what
	}{
		"down":     {Facts{Down: true}, []string{"error daemon switcherood.service: switcherood does not run"}},
		"problems": {Facts{Problems: []string{"state not saved"}}, []string{"error daemon switcherood.service: state not saved"}},
		"locks": {Facts{Locks: []Lock{{"/run/xtables.lock", "process 7 (ferm)", 2 * time.Second}}},
			[]string{"error locks /run/xtables.lock: process 7 (ferm) has kept the lock over rules for 2s"}},
		"library": {Facts{Claims: []Claim{{"web", "443", "hello", 7}, {"web", "80", "gone", 0}}},
			[]string{`error library-endpoint web: 443: "hello" (process 7), started`, `error library-endpoint web: 80: "gone", started`}},
		"rules of others": {Facts{Foreign: []nat.Finding{{Kind: nat.Taken, Rule: "a", Message: "m"}, {Kind: nat.CutOff, Rule: "b", Message: "m"},
			{Kind: nat.VoidDrop, Rule: "c", Message: "m", Fix: "f"}, {Kind: nat.Taken, Rule: "-A PREROUTING -j SWL-1", Message: "m"}}},
			[]string{"error foreign-nat a: m", "error firewall b: m", "warning firewall c: m"}},
		"exposed": {Facts{Listeners: []Listener{{Unit: "a", Addr: netip.MustParseAddrPort("0.0.0.0:1"), Guard: true}, {Unit: "b", Addr: netip.MustParseAddrPort("[::]:2")}},
			Detours: []Detour{{"r", 3, "c"}}},
			[]string{"error private-port a: 0.0.0.0:1: its private port is not guarded", "warning private-port b: [::]:2: Guard=no", "warning private-port r: this rule leads past"}},
		"conntrack 70": {Facts{Conntrack: Use{70, 100}}, []string{"warning conntrack-table nf_conntrack_max: 70 of 100"}},
		"conntrack 90": {Facts{Conntrack: Use{90, 100}}, []string{"error conntrack-table nf_conntrack_max: 90 of 100"}},
		"mixed": {Facts{Tables: []Table{{"nft", "IPv4", "nat"}, {"legacy", "IPv6", "filter"}}},
			[]string{"warning mixed-tables iptables-legacy: IPv6 filter; iptables-nft: IPv4 nat: both variants"}},
		"no IPv6": {Facts{NoIPv6: "no such command", IPv6: []netip.Addr{netip.MustParseAddr("2001:db8::1")}},
			[]string{"warning ipv6-nat 2001:db8::1: this host has IPv6 addresses"}},
		"ephemeral": {Facts{Ephemeral: Ports{32768, 61000}, Private: Ports{61000, 64999}, PrivateAt: "conf", Fixed: []Fixed{{"a", 40000}}},
			[]string{"warning ephemeral-range conf: PrivatePorts=61000-64999", "warning ephemeral-range a: Port=40000: outgoing"}},
		"partly reserved": {Facts{Ephemeral: Ports{32768, 61002}, Private: Ports{61000, 64999}, PrivateAt: "conf", Reserved: []Ports{{61000, 61000}, {61002, 61100}}},
			[]string{"warning ephemeral-range conf: PrivatePorts=61000-64999"}},
		"reserved": {Facts{Ephemeral: Ports{32768, 61002}, Private: Ports{61000, 64999}, Reserved: []Ports{{61001, 61100}, {8080, 8080}, {60999, 61000}}}, nil},
		"mistakes": {Facts{Mistakes: []Mistake{{"a", "m"}}}, []string{"error unit-files a: m"}},
		"units": {Facts{Lifecycles: []Lifecycle{{Unit: "a", Stale: true}, {Unit: "b", Ordered: true, Drains: true, Drain: ever, StopTimeout: 90 * time.Second},
			{Unit: "c", Ordered: true, Killed: true, StopTimeout: time.Second}, {Unit: "d", Ordered: true, Drains: true, Drain: ever, StopTimeout: ever}}},
			[]string{"warning daemon-reload a: its files", "warning unit-order a: without", "warning stop-timeout b: its ExecStop= drains for up to DrainSec=infinity, but systemd ends that after TimeoutStopSec=1min30s",
				"warning stop-timeout c: the last time"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := Examine(c.facts)
			if len(d.Ailments) != len(c.want) {
				t.Fatalf("%+v", d.Ailments)
			}
			for i, a := range d.Ailments {
				if got := string(a.Severity) + " " + a.Check + " " + a.Where + ": " + a.Message; !strings.HasPrefix(got, c.want[i]) {
					t.Errorf("%q, want %q...", got, c.want[i])
				}
				if a.Remedy == "" {
					t.Errorf("%s: nothing to do about it", a.Check)
				}
			}
			for _, e := range d.Checks {
				found := slices.ContainsFunc(d.Ailments, func(a api.Ailment) bool { return a.Check == e.Check })
				if found != (e.Result == api.Ill) {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// What is not known is neither well nor ill, and who knows more is believed.
func TestUnknownAndMerged(t *testing.T) {
	d := Examine(Facts{Unknown: map[string]string{"ephemeral-range": "hidden"}, Mistakes: []Mistake{{"a", "m"}},
		Ephemeral: Ports{1, 65535}, Private: Ports{61000, 64999}})
	if len(d.Ailments) != 1 || d.Checks[slices.Index(Names(), "ephemeral-range")] != (api.Examination{Check: "ephemeral-range",
		About: "private ports that the kernel may hand out to others", Result: api.Unknown, Reason: "hidden"}) {
		t.Errorf("%+v", d)
	}
	m := Merge(d, Examine(Facts{Ephemeral: Ports{1, 65535}, Private: Ports{61000, 64999}}, "ephemeral-range"))
	var got []string
	for _, a := range m.Ailments {
		got = append(got, a.Check)
	}
	if diff := cmp.Diff([]string{"ephemeral-range", "unit-files"}, got); diff != "" || len(m.Checks) != len(checks) {
		t.Errorf("%s %+v", diff, m.Checks)
	}
}

func TestParsePorts(t *testing.T) {
	got, err := parsePorts("8080,61000-61999,")
	if err != nil || !slices.Equal(got, []Ports{{8080, 8080}, {61000, 61999}}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, s := range []string{"x", "1-y", "70000"} {
		if _, err := parsePorts(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}
