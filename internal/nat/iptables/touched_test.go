package iptables

import (
	"testing"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// What others commit to nftables shows, once; what this process commits does not,
// from the first rule to the last.
func TestTouched(t *testing.T) {
	for _, variant := range []Variant{NFT, Legacy} {
		t.Run(variant.String(), func(t *testing.T) {
			newNetns(t)
			var beside uint32
			b, err := New(testContext(t), Options{Variant: variant, Commits: func() uint32 { return beside }})
			if err != nil {
				t.Fatal(err)
			}
			check := func(after string, want bool) {
				t.Helper()
				if got := b.Touched(testContext(t)); got != want {
					t.Errorf("after %s: %v", after, got)
				}
			}
			check("nothing", false)
			mustApply(t, b, web(v1, 8443))
			check("the first rules", false)
			mustApply(t, b, web(v2, 8444))
			check("a move", false)
			commit(t)
			check("somebody else", true)
			check("nobody else", false)
			commit(t)
			mustApply(t, b, web(v1, 8443))
			check("somebody else, and a move", true)
			commit(t)
			beside += commits
			check("we, elsewhere", false)
			beside++
			check("a commit of ours that is not there", true)
			if _, err := b.Apply(testContext(t), nat.Rules{}); err != nil {
				t.Fatal(err)
			}
			check("the last rules", false)
		})
	}
}
