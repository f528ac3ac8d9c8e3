package iptables

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// commit changes nftables, but nothing of ours.
func commit(t *testing.T) {
	t.Helper()
	command(t, "nft", "add table inet beside")
	command(t, "nft", "delete table inet beside")
}

const commits = 2 // of commit

// A move is read back unless all commits since the last look are accounted for.
func TestProof(t *testing.T) {
	for name, c := range map[string]struct {
		beside uint32 // how many commits are said to be ours
		commit bool
		change func(t *testing.T, b *Backend)
		read   bool // whether it is read back
	}{
		"nobody else":               {},
		"somebody else":             {commit: true, read: true},
		"we, elsewhere":             {commit: true, beside: commits},
		"we, and somebody else":     {commit: true, beside: commits - 1, read: true},
		"we, but nothing committed": {beside: 1, read: true},
		// It is known then that a hook is missing, and not by what a move goes.
		"somebody else, as was read since": {change: func(t *testing.T, b *Backend) {
			ipt(t, NFT, nat.IPv4, "-t nat -F PREROUTING")
			if _, err := b.Read(testContext(t)); err != nil {
				t.Fatal(err)
			}
		}, read: true},
	} {
		t.Run(name, func(t *testing.T) {
			newNetns(t)
			var beside uint32
			b, err := New(testContext(t), Options{Variant: NFT, Commits: func() uint32 { return beside }})
			if err != nil {
				t.Fatal(err)
			}
			mustApply(t, b, web(v1, 8443))
			if c.commit {
				commit(t)
			}
			if c.change != nil {
				c.change(t, b)
			}
			beside += c.beside
			see := blind(b)
			change, err := b.Apply(testContext(t), nat.Rules{Redirects: []nat.Redirect{web(v2, 8444)}})
			if !change.Changed || (err != nil) != c.read {
				t.Errorf("%+v, %v", change, err)
			}
			see()
			if change := mustApply(t, b, web(v2, 8444)); change.Changed != (c.change != nil) {
				t.Errorf("once more: %+v", change)
			}
			// What is proven is what a read shows.
			for _, tool := range b.tools {
				have, err := tool.readTable(testContext(t))
				if err != nil {
					t.Fatal(err)
				}
				if !have.equal(b.last[tool.family]) {
					t.Errorf("%v: %+v, want %+v", tool.family, have, b.last[tool.family])
				}
			}
		})
	}
}

func TestAfter(t *testing.T) {
	for _, family := range []nat.Family{nat.IPv4, nat.IPv6} {
		before, err := newLayout(goldenRules(), family)
		if err != nil {
			t.Fatal(err)
		}
		want, err := newLayout(moved(), family)
		if err != nil {
			t.Fatal(err)
		}
		s := snapshot{chains: before}
		for _, b := range bases {
			s.hooks = append(s.hooks, hook{chain: b.builtin, pos: 1, jump: b.name, rule: b.hook()})
		}
		left, ok := s.after(want)
		if diff := cmp.Diff(map[string][]rule(want), left.chains, cmp.AllowUnexported(rule{}), compareAddrs); !ok || diff != "" {
			t.Errorf("%v: %t (-want +got)\n%s", family, ok, diff)
		}
		missing := s
		missing.hooks = s.hooks[1:]
		if _, ok := missing.after(want); ok {
			t.Errorf("%v: without a hook", family)
		}
		pinned := s
		pinned.pinned = map[string]string{networkBase: "-A FORWARD -j " + networkBase}
		if _, ok := pinned.after(want); ok {
			t.Errorf("%v: with a chain that others use", family)
		}
	}
}
