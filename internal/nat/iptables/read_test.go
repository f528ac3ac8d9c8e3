package iptables

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switcheroo/switcheroo/internal/nat"
)

var compareAddrs = cmpopts.EquateComparable(netip.Addr{})

// checkInstalled compares what Read returns with rules that were applied.
func checkInstalled(t testing.TB, b *Backend, want nat.Rules) {
	t.Helper()
	var all []nat.Installed
	for _, rd := range want.Redirects {
		i := nat.Installed{Key: nat.Key(rd.Service), Activation: rd.Activation, Scope: rd.Scope}
		for _, t := range rd.Targets {
			t.Families = t.Serves()
			t.Endpoint = t.Endpoint.Canonical()
			i.Targets = append(i.Targets, t)
		}
		slices.SortFunc(i.Targets, func(a, b nat.Target) int {
			return cmp.Or(byEndpoint(a.Endpoint, b.Endpoint), cmp.Compare(a.Port, b.Port))
		})
		all = append(all, i)
	}
	slices.SortFunc(all, byKey)
	got, err := b.Read(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(all, got, compareAddrs); d != "" {
		t.Error(d)
	}
}

func TestRead(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		checkInstalled(t, b, nat.Rules{})
		mustApply(t, b, goldenRules().Redirects...)
		checkInstalled(t, b, goldenRules())
		checkInstalled(t, newBackend(t, v), goldenRules())
	})
}

// TestReadDisagreement: the daemon died between the commits of two families,
// and somebody flushed a hook.
func TestReadDisagreement(t *testing.T) {
	newNetns(t)
	b := newBackend(t, NFT)
	mustApply(t, b, web(v1, 8443))
	if _, err := b.apply(testContext(t), b.tools[1], nat.Rules{Redirects: []nat.Redirect{web(v2, 8444)}}, false); err != nil {
		t.Fatal(err)
	}
	ipt(t, NFT, nat.IPv6, "-t nat -F OUTPUT")
	got, err := b.Read(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []nat.Installed{
		{Key: nat.Key("web"), Activation: v1, Scope: nat.Everyone, Targets: []nat.Target{target("", 443, 8443, nat.IPv4)}},
		{Key: nat.Key("web"), Activation: v2, Scope: nat.Network, Targets: []nat.Target{target("", 443, 8444, nat.IPv6)}},
	}
	if d := gocmp.Diff(want, got, compareAddrs); d != "" {
		t.Error(d)
	}
}
