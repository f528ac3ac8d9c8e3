package iptables

import (
	"testing"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// moved is goldenRules after a switch of "web".
func moved() nat.Rules {
	r := goldenRules()
	r.Redirects[0].Activation = v1
	r.Redirects[0].Targets[1].Port = 8090
	return r
}

// blind has every read by a command fail until the function that it returns is
// called.
func blind(b *Backend) (see func()) {
	var saves []string
	for _, tool := range b.tools {
		saves = append(saves, tool.save)
		tool.save = "/bin/false"
	}
	return func() {
		for i, tool := range b.tools {
			tool.save = saves[i]
		}
	}
}

// TestMoveComesFirst: a switch is in place before anything is read, here
// before a read that fails. With nftables none is needed; with legacy it takes a
// command, as somebody's rule leads into our chains.
func TestMoveComesFirst(t *testing.T) {
	eachWay(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		mustApply(t, b, goldenRules().Redirects...)
		if v == Legacy {
			ipt(t, v, nat.IPv4, "-t nat -A OUTPUT -p tcp --dport 1 -j SW-NETWORK")
		}
		see := blind(b)
		want := moved()
		want.Unhurried = true
		change, err := apply(testContext(t), t, b, want)
		if !change.Changed || (err == nil) != (v == NFT) {
			t.Errorf("Apply without a read: %+v, %v", change, err)
		}
		see()
		checkInstalled(t, b, moved())
		if change := mustApply(t, b, moved().Redirects...); change != (nat.Change{}) {
			t.Errorf("a switch that was read back at last: %+v", change)
		}
	})
}

// TestMoveMeetsSpoiledRules: what the last Apply left is not there any more.
func TestMoveMeetsSpoiledRules(t *testing.T) {
	eachWay(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		for _, tt := range spoiled {
			mustApply(t, b, goldenRules().Redirects...)
			spoil(t, v, tt.commands)
			if change := mustApply(t, b, moved().Redirects...); !change.Changed {
				t.Errorf("%s: %+v", tt.name, change)
			}
			for _, tool := range b.tools {
				want, err := newLayout(moved(), tool.family)
				if err != nil {
					t.Fatal(err)
				}
				have, err := tool.readTable(testContext(t))
				if err != nil {
					t.Fatal(err)
				}
				if script := diff(have, want); script != "" {
					t.Errorf("%s: %v still differs:\n%s", tt.name, tool.family, script)
				}
			}
		}
	})
}

// TestMoveSaysWhatItRepaired: a switch in passing mends what others spoiled.
func TestMoveSaysWhatItRepaired(t *testing.T) {
	eachWay(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		mustApply(t, b, web(v1, 8443))
		if change := mustApply(t, b, web(v2, 8444)); change != (nat.Change{Changed: true}) {
			t.Errorf("a plain switch: %+v", change)
		}
		ipt(t, v, nat.IPv4, "-t nat -F PREROUTING")
		if change := mustApply(t, b, web(v1, 8443)); change != (nat.Change{Changed: true, Repaired: true}) {
			t.Errorf("without a hook: %+v", change)
		}
		ipt(t, v, nat.IPv6, "-t nat -F")
		if change := mustApply(t, b, web(v2, 8444)); change != (nat.Change{Changed: true, Repaired: true}) {
			t.Errorf("after a flush: %+v", change)
		}
	})
}
