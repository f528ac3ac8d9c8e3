package iptables

import (
	"context"
	"testing"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// TestGeneration pins what read relies on: each commit counts, by whatever
// tool, and nothing else does.
func TestGeneration(t *testing.T) {
	newNetns(t)
	look := func() generation {
		t.Helper()
		g, err := currentGeneration(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	ipt(t, NFT, nat.IPv4, "-t nat -N FOO")
	last := look()
	for _, argv := range [][]string{
		{"iptables-nft", "-t", "nat", "-A", "PREROUTING", "-j", "FOO"},
		{"ip6tables-nft", "-t", "nat", "-N", "FOO"},
		{"iptables-nft", "-t", "nat", "-R", "PREROUTING", "1", "-p", "tcp", "-j", "FOO"},
		{"nft", "flush", "chain", "ip", "nat", "PREROUTING"},
		{"nft", "flush", "ruleset"},
	} {
		command(t, argv...)
		now := look()
		if now == last {
			t.Errorf("the same after %q", argv)
		}
		if command(t, "iptables-nft-save"); look() != now {
			t.Error("a read counts")
		}
		last = now
	}
}

// TestReadAgainIsFree: as long as nobody commits anything, no command runs.
func TestReadAgainIsFree(t *testing.T) {
	newNetns(t)
	b := newBackend(t, NFT)
	mustApply(t, b, web(v1, 8443))
	mustApply(t, b, web(v1, 8443)) // reads IPv4 again, after IPv6's commit
	for _, tool := range b.tools {
		tool.save = "/nonexistent"
	}
	if change := mustApply(t, b, web(v1, 8443)); change.Changed {
		t.Errorf("%+v", change)
	}
	checkInstalled(t, b, nat.Rules{Redirects: []nat.Redirect{web(v1, 8443)}})
	ipt(t, NFT, nat.IPv4, "-t nat -F")
	if _, err := b.Read(testContext(t)); err == nil {
		t.Error("read from memory what somebody has flushed")
	}
}

func FuzzParseGeneration(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 7})
	f.Add([]byte{0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if g, err := parseGeneration(data); err != nil && g != 0 {
			t.Errorf("%d with %v", g, err)
		}
	})
}

func BenchmarkGeneration(b *testing.B) {
	newNetns(b)
	for b.Loop() {
		if _, err := currentGeneration(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
