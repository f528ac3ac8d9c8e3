package iptables

import (
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// TestNameLimits pins why chains are named by hashes and comments are short.
func TestNameLimits(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		ipt(t, v, nat.IPv4, "-t nat -N "+strings.Repeat("c", 28))
		if _, err := run(t.Context(), commandTimeout, "", v.command(nat.IPv4), "-t", "nat", "-N", strings.Repeat("c", 29)); err == nil {
			t.Error("a chain's name may have 29 characters")
		}
		ipt(t, v, nat.IPv4, "-t nat -A PREROUTING -m comment --comment "+strings.Repeat("n", 300)+" -j ACCEPT")
		if got := strings.Count(ipt(t, v, nat.IPv4, "-t nat -S PREROUTING 1"), "n"); got != strings.Count("comment comment", "n")+255 {
			t.Errorf("of a comment of 300 characters, %d are left", got-2)
		}
	})
}

// TestRestoreIsAtomic pins what a commit rests on: one bad line, and none of the
// others has an effect.
func TestRestoreIsAtomic(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		mustApply(t, b, web(v1, 8443))
		before := saved(t, v, nat.IPv4, true)
		script := "*nat\n" +
			":SW-00000000000000ff - [0:0]\n" +
			"-A SW-NETWORK -j SW-00000000000000ff\n" +
			"-R " + webChain + " 1 -j SW-00000000000000ff\n" +
			"-D " + webChain + " 7\n" +
			"COMMIT\n"
		if _, err := b.tools[0].write(testContext(t), script); err == nil {
			t.Error("no error")
		}
		if after := saved(t, v, nat.IPv4, true); after != before {
			t.Errorf("half applied:\n%s", after)
		}
	})
}
