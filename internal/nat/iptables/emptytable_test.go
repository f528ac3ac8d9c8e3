package iptables

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// TestRemoveLeavesNoTable: what was not there before us is not there after us,
// whichever variant is the host's now.
func TestRemoveLeavesNoTable(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		mustApply(t, newBackend(t, NFT), goldenRules().Redirects...)
		b := newBackend(t, v)
		for range 2 {
			if err := b.Remove(testContext(t)); err != nil {
				t.Error(err)
			}
			if got := command(t, "nft", "list", "ruleset"); got != "" {
				t.Errorf("left over:\n%s", got)
			}
		}
		mustApply(t, b, web(v2, 8444))
		checkInstalled(t, b, nat.Rules{Redirects: []nat.Redirect{web(v2, 8444)}})
	})
}

// TestRemoveLeavesOthersTables: a table nat that somebody uses, or has made in
// another way than iptables does, stays as it was.
func TestRemoveLeavesOthersTables(t *testing.T) {
	const prerouting = "chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; "
	tests := map[string]string{
		"a rule":           "table ip nat { " + prerouting + "udp dport 53 accept; }; }",
		"a chain":          "table ip nat { " + prerouting + "}; chain DOCKER { }; }",
		"a base chain":     "table ip nat { " + prerouting + "}; chain mine { type nat hook output priority 0; }; }",
		"a policy":         "table ip nat { chain POSTROUTING { type nat hook postrouting priority srcnat; policy drop; }; }",
		"IPv6":             "table ip6 nat { " + prerouting + "udp dport 53 accept; }; }",
		"a table of inet":  "table inet nat { " + prerouting + "}; }",
		"another table":    "table ip filter { chain INPUT { type filter hook input priority 0; policy accept; }; }",
		"chains elsewhere": "table ip nat { chain PREROUTING { type nat hook output priority 0; }; }",
	}
	for name, ruleset := range tests {
		t.Run(name, func(t *testing.T) {
			newNetns(t)
			commandInput(t, ruleset, "nft", "-f", "-")
			before := command(t, "nft", "list", "ruleset")
			for _, f := range families {
				if err := removeEmptyTable(testContext(t), f); err != nil {
					t.Error(err)
				}
			}
			if d := cmp.Diff(before, command(t, "nft", "list", "ruleset")); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestRemoveBesideOthers: the same, after rules of ours were there.
func TestRemoveBesideOthers(t *testing.T) {
	newNetns(t)
	ipt(t, NFT, nat.IPv4, "-t nat -A PREROUTING -p udp --dport 53 -j ACCEPT")
	ipt(t, NFT, nat.IPv6, "-t nat -N DOCKER")
	b := newBackend(t, NFT)
	mustApply(t, b, goldenRules().Redirects...)
	if err := b.Remove(testContext(t)); err != nil {
		t.Error(err)
	}
	if got, want := saved(t, NFT, nat.IPv4, false), "-A PREROUTING -p udp -m udp --dport 53 -j ACCEPT\n"; got != want {
		t.Errorf("IPv4: got %q, want %q", got, want)
	}
	if got, want := saved(t, NFT, nat.IPv6, false), ":DOCKER - [0:0]\n"; got != want {
		t.Errorf("IPv6: got %q, want %q", got, want)
	}
}

// TestDeleteTable: what comes into the table after we have looked makes the
// kernel refuse all of the transaction.
func TestDeleteTable(t *testing.T) {
	const empty = `table ip nat {
	chain PREROUTING {
		type nat hook prerouting priority dstnat; policy accept;
	}
	chain OUTPUT {
		type nat hook output priority -100; policy accept;
	}
}
`
	tests := map[string]struct {
		meanwhile string
		want      error
	}{
		"nothing":          {"", nil},
		"a rule":           {"add rule ip nat OUTPUT accept", unix.EBUSY},
		"a chain":          {"add chain ip nat DOCKER", unix.EBUSY},
		"a set":            {"add set ip nat ports { type inet_service; }", unix.EBUSY},
		"a chain is gone":  {"delete chain ip nat OUTPUT", unix.ENOENT},
		"the table is too": {"delete table ip nat", unix.ENOENT},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			newNetns(t)
			commandInput(t, empty, "nft", "-f", "-")
			chains, err := builtinChains(testContext(t), nat.IPv4)
			if err != nil || len(chains) != 2 {
				t.Fatalf("got %v, %v", chains, err)
			}
			commandInput(t, tt.meanwhile, "nft", "-f", "-")
			before := command(t, "nft", "list", "ruleset")
			if err := deleteTable(testContext(t), nat.IPv4, "nat", chains); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			after := command(t, "nft", "list", "ruleset")
			if tt.want == nil {
				before = ""
			}
			if d := cmp.Diff(before, after); d != "" {
				t.Error(d)
			}
		})
	}
}
