package iptables

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

func TestFingerprint(t *testing.T) {
	newNetns(t)
	for _, f := range families {
		look := func() fingerprint {
			t.Helper()
			p, err := fingerprintOf(f)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		if look() != (fingerprint{}) || legacyTable(f, "nat") {
			t.Errorf("%v: a table where there is none", f)
		}
		ipt(t, Legacy, f, "-t nat -N FOO")
		seen := map[fingerprint]string{{}: "none"}
		for _, words := range []string{"-A PREROUTING -j FOO", "-A PREROUTING -j FOO", "-F PREROUTING", "-X FOO"} {
			ipt(t, Legacy, f, "-t nat "+words)
			now := look()
			if before, known := seen[now]; known && words != "-F PREROUTING" {
				t.Errorf("%v: same after %q as after %q", f, words, before)
			}
			if now != look() {
				t.Errorf("%v: differs from one look to the next", f)
			}
			seen[now] = words
		}
	}
}

// TestWatch runs in fake time; the kernel is real.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newNetns(t)
		b := newBackend(t, Legacy)
		watch := func(d time.Duration, changed func()) {
			t.Helper()
			ctx, cancel := context.WithTimeout(context.Background(), d)
			defer cancel()
			if err := b.Watch(ctx, changed); err != nil {
				t.Error(err)
			}
		}
		never := func() { t.Helper(); t.Error("a change where there was none") }
		watch(5*time.Second, never) // nothing applied yet: nothing to watch

		mustApply(t, b, web(v1, 8443))
		watch(5*time.Second, never)

		for _, f := range families {
			ipt(t, Legacy, f, "-t nat -F")
			begun, calls := time.Now(), 0
			watch(9*time.Second, func() {
				calls++
				if took := time.Since(begun); calls == 1 && took > 2*time.Second {
					t.Errorf("%v: noticed after %v", f, took)
				}
				if calls == 2 { // a hint that is not followed is repeated
					if change := mustApply(t, b, web(v1, 8443)); !change.Repaired {
						t.Errorf("%v: %+v", f, change)
					}
				}
			})
			if calls != 2 {
				t.Errorf("%v: called %d times, want 2", f, calls)
			}
		}

		// A change that is not ours is told once, until Apply has looked.
		ipt(t, Legacy, nat.IPv4, "-t nat -A POSTROUTING -j ACCEPT")
		calls := 0
		watch(9*time.Second, func() {
			calls++
			if change := mustApply(t, b, web(v1, 8443)); change.Changed {
				t.Errorf("wrote: %+v", change)
			}
		})
		if calls != 1 {
			t.Errorf("called %d times, want 1", calls)
		}
	})
}

// TestWatchOfNoTable: what is not there is not loaded by looking at it.
func TestWatchOfNoTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newNetns(t)
		b := newBackend(t, Legacy)
		mustApply(t, b)
		watch := func() (calls int) {
			t.Helper()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := b.Watch(ctx, func() { calls++ }); err != nil {
				t.Error(err)
			}
			return calls
		}
		if calls := watch(); calls != 0 || legacyTable(nat.IPv4, "nat") || legacyTable(nat.IPv6, "nat") {
			t.Errorf("called %d times, or loaded the table", calls)
		}
		ipt(t, Legacy, nat.IPv6, "-t nat -N FOO")
		if calls := watch(); calls != 2 {
			t.Errorf("called %d times, want 2", calls)
		}
	})
}

func TestWatchLeavesNFTAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newNetns(t)
		b := newBackend(t, NFT)
		mustApply(t, b, web(v1, 8443))
		ipt(t, NFT, nat.IPv4, "-t nat -F")
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		begun := time.Now()
		if err := b.Watch(ctx, func() { t.Error("called") }); err != nil {
			t.Error(err)
		}
		if time.Since(begun) != time.Minute {
			t.Error("returned early")
		}
	})
}

func BenchmarkFingerprint(b *testing.B) {
	newNetns(b)
	ipt(b, Legacy, nat.IPv4, "-t nat -N FOO")
	for b.Loop() {
		if _, err := fingerprintOf(nat.IPv4); err != nil {
			b.Fatal(err)
		}
	}
}
