package iptables

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

var families = []nat.Family{nat.IPv4, nat.IPv6}

// asSaved turns a golden script into what iptables-save shows, in sorted lines:
// variants differ in the order of chains.
func asSaved(script string) []string {
	script = strings.NewReplacer("*nat\n", "", "COMMIT\n", "", "-I PREROUTING 1 ", "-A PREROUTING ", "-I OUTPUT 1 ", "-A OUTPUT ").Replace(script)
	return slices.Sorted(strings.Lines(script))
}

func savedLines(t testing.TB, v Variant, f nat.Family) []string {
	t.Helper()
	return slices.Sorted(strings.Lines(saved(t, v, f, true)))
}

func wantGolden(t *testing.T, v Variant) {
	t.Helper()
	for _, f := range families {
		if d := cmp.Diff(asSaved(golden(t, f)), savedLines(t, v, f)); d != "" {
			t.Errorf("%v: %s", f, d)
		}
	}
}

// TestApplyGolden: the kernel shows what the golden files say, and a second
// Apply writes nothing.
func TestApplyGolden(t *testing.T) {
	eachWay(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		if b.Name() != "iptables-"+v.String() || b.Families() != nat.DualStack {
			t.Errorf("%s serves %v", b.Name(), b.Families())
		}
		if got, want := mustApply(t, b, goldenRules().Redirects...), (nat.Change{Changed: true}); got != want {
			t.Errorf("first: %+v, want %+v", got, want)
		}
		wantGolden(t, v)
		if got := mustApply(t, b, goldenRules().Redirects...); got != (nat.Change{}) {
			t.Errorf("second: %+v", got)
		}
		// A new process knows nothing of what another wrote, and agrees.
		if got := mustApply(t, newBackend(t, v), goldenRules().Redirects...); got != (nat.Change{}) {
			t.Errorf("another process: %+v", got)
		}
	})
}

// spoiled is one way each to spoil goldenRules, by commands of iptables.
var spoiled = []struct {
	name     string
	commands []string
}{
	{"everything flushed", []string{"-t nat -F"}},
	{"everything flushed and deleted", []string{"-t nat -F", "-t nat -X"}},
	{"hook missing", []string{"-t nat -F PREROUTING"}},
	{"hook twice", []string{"-t nat -A PREROUTING " + hookSpec + "SW-NETWORK", "-t nat -A PREROUTING " + hookSpec + "SW-NETWORK"}},
	{"hook altered", []string{"-t nat -F OUTPUT", "-t nat -A OUTPUT -m comment --comment switcheroo -j SW-LOCALHOST"}},
	{"hook in another chain", []string{"-t nat -A OUTPUT " + hookSpec + "SW-NETWORK"}},
	{"base flushed", []string{"-t nat -F SW-NETWORK"}},
	{"base in another order", []string{"-t nat -D SW-NETWORK 1", "-t nat -A SW-NETWORK -j SW-c0b229b8d15dd1f8"}},
	{"service's chain flushed", []string{"-t nat -F " + goldenService}},
	{"service's chain missing", []string{"-t nat -D SW-NETWORK -j " + goldenService, "-t nat -D SW-LOCALHOST -j " + goldenService, "-t nat -F " + goldenService, "-t nat -X " + goldenService}},
	{"two jumps in the service's chain", []string{"-t nat -N SW-00000000000000ff", "-t nat -I " + goldenService + " 1 -j SW-00000000000000ff"}},
	{"activation's chain flushed", []string{"-t nat -F " + goldenCurrent}},
	{"activation's chain missing", []string{"-t nat -F " + goldenService, "-t nat -F " + goldenCurrent, "-t nat -X " + goldenCurrent}},
	{"stale activation's chain", []string{"-t nat -N SW-00000000000000ff", "-t nat -A SW-00000000000000ff -p tcp --dport 1 -j DNAT --to-destination :2"}},
	{"public port altered", []string{"-t nat -R " + goldenCurrent + " 2 -p tcp --dport 81 -j DNAT --to-destination :8080"}},
	{"private port altered", []string{"-t nat -R " + goldenCurrent + " 2 -p tcp --dport 80 -j DNAT --to-destination :8081"}},
	{"comment lost", []string{"-t nat -D " + goldenService + " 1", "-t nat -A " + goldenService + " -j " + goldenCurrent}},
	{"somebody's rule in our chain", []string{"-t nat -I " + goldenCurrent + " 1 -p tcp --dport 443 -j RETURN", "-t nat -A " + goldenService + " -p udp -j ACCEPT"}},
}

// Of "web" and its activation.
const (
	goldenService = "SW-4b5e57f6eb2f42b9"
	goldenCurrent = "SW-e975c0a69e8591a6"
)

// spoil does so in both families.
func spoil(t *testing.T, v Variant, commands []string) {
	t.Helper()
	for _, f := range families {
		for _, words := range commands {
			if f == nat.IPv6 && strings.Contains(words, "c0b229b8d15dd1f8") {
				continue // that service has no IPv6
			}
			ipt(t, v, f, words)
		}
	}
}

func TestApplyRepairs(t *testing.T) {
	eachWay(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		mustApply(t, b, goldenRules().Redirects...)
		for _, tt := range spoiled {
			spoil(t, v, tt.commands)
			if got, want := mustApply(t, b, goldenRules().Redirects...), (nat.Change{Changed: true, Repaired: true}); got != want {
				t.Errorf("%s: %+v, want %+v", tt.name, got, want)
			}
			wantGolden(t, v)
			if t.Failed() {
				t.Fatalf("after %q", tt.name)
			}
		}
	})
}

// TestApplyLeavesOthersAlone: rules of others between ours, before and after
// them, stay as and where they are through switches, repair and Remove.
func TestApplyLeavesOthersAlone(t *testing.T) {
	eachWay(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		for _, f := range families {
			ipt(t, v, f, "-t nat -N SW-custom")
			ipt(t, v, f, "-t nat -A SW-custom -p tcp --dport 1 -j ACCEPT")
			ipt(t, v, f, "-t nat -A PREROUTING -p udp --dport 53 -j ACCEPT")
			ipt(t, v, f, "-t nat -A PREROUTING -m comment --comment switcheroo -j ACCEPT")
			ipt(t, v, f, "-t nat -A POSTROUTING -p tcp --dport 2 -j MASQUERADE")
		}
		foreign := func() (all string) {
			for _, f := range families {
				for line := range strings.Lines(command(t, v.command(f)+"-save")) {
					if (line[0] == '-' || line[0] == ':') && !strings.Contains(line, chainPrefix) {
						all += line[:strings.IndexAny(line+"[", "[")] + "\n"
					}
				}
			}
			return all
		}
		mustApply(t, b) // the built-in chains of nft appear with the first rule
		before := foreign()
		check := func(when string) {
			t.Helper()
			if d := cmp.Diff(before, foreign()); d != "" {
				t.Errorf("%s: %s", when, d)
			}
		}
		mustApply(t, b, web(v1, 8443))
		check("first switch")
		for _, f := range families {
			ipt(t, v, f, "-t nat -I PREROUTING 1 -p tcp --dport 25 -j ACCEPT")
			ipt(t, v, f, "-t nat -I OUTPUT 1 -p tcp --dport 25 -j ACCEPT")
		}
		before = foreign()
		mustApply(t, b, web(v2, 8444))
		check("second switch")
		if at := strings.Index(saved(t, v, nat.IPv4, true)+saved(t, v, nat.IPv4, false), hookSpec); at < 0 {
			t.Error("no hook")
		}
		if rule := ipt(t, v, nat.IPv4, "-t nat -S PREROUTING 1"); !strings.Contains(rule, "--dport 25") {
			t.Errorf("the hook moved: first rule is now %s", rule)
		}
		mustApply(t, b)
		check("last service gone")
		if err := b.Remove(testContext(t)); err != nil {
			t.Fatal(err)
		}
		check("removed")
		for _, f := range families {
			if got := ipt(t, v, f, "-t nat -S SW-custom"); !strings.Contains(got, "--dport 1 ") {
				t.Errorf("%v: chain of somebody else's: %s", f, got)
			}
		}
	})
}

// TestApplyAnyToAny goes from one random set of redirects to another, spoilt in
// between, and expects one write a family each time.
func TestApplyAnyToAny(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		const seed = 1
		rng := rand.New(rand.NewPCG(seed, uint64(v)))
		b := newBackend(t, v)
		for round := range 15 {
			want := randomRules(rng)
			for _, tool := range b.tools {
				l, err := newLayout(want, tool.family)
				if err != nil {
					t.Fatal(err)
				}
				res, err := b.settle(testContext(t), tool, l)
				if err != nil || res.writes > 1 {
					t.Fatalf("round %d: %d writes, %v", round, res.writes, err)
				}
			}
			if got := mustApply(t, b, want.Redirects...); got.Changed {
				t.Fatalf("round %d: not settled", round)
			}
			checkInstalled(t, b, want)
			if t.Failed() {
				t.Fatalf("round %d", round)
			}
		}
	})
}

// randomRules are redirects of some of eight services.
func randomRules(rng *rand.Rand) (rules nat.Rules) {
	for s := range 8 {
		if rng.IntN(2) == 0 {
			continue
		}
		rd := nat.Redirect{Service: fmt.Sprint("s", s), Activation: []string{v1, v2}[rng.IntN(2)], Scope: nat.Scope(1 + rng.IntN(3))}
		for n := range 1 + rng.IntN(3) {
			rd.Targets = append(rd.Targets, target([]string{"", "192.0.2.1", "2001:db8::1"}[rng.IntN(3)],
				uint16(1000+10*s+n), uint16(1+rng.IntN(3)), nat.DualStack))
		}
		rules.Redirects = append(rules.Redirects, rd)
	}
	return rules
}

// TestApplyBesideOthersWhoWrite: another program adds and deletes rules in the
// shared chains all the time. Neither may lose anything.
func TestApplyBesideOthersWhoWrite(t *testing.T) {
	eachWay(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		mustApply(t, b, web(v1, 8443))
		// One process, so that both run at once in this namespace.
		script := `i=0
while [ $i -lt 60 ]; do
	$0 -w -t nat -I PREROUTING 1 -p tcp --dport 7 -j ACCEPT || exit 1
	$0 -w -t nat -A PREROUTING -p udp --dport $((1000 + i)) -j ACCEPT || exit 1
	$0 -w -t nat -D PREROUTING 1 || exit 1
	i=$((i + 1))
done`
		other := exec.CommandContext(t.Context(), "sh", "-c", script, v.command(nat.IPv4))
		var said strings.Builder
		other.Stderr = &said
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- other.Wait() }()
		var err error
		for i, running := 0, true; running; i++ {
			select {
			case err = <-done:
				running = false
			default:
				mustApply(t, b, web([]string{v1, v2}[i%2], uint16(8443+i%2)))
			}
		}
		if err != nil {
			t.Fatalf("the other program: %v: %s", err, said.String())
		}
		mustApply(t, b, web(v1, 8443))
		checkInstalled(t, b, nat.Rules{Redirects: []nat.Redirect{web(v1, 8443)}})
		if got := strings.Count(saved(t, v, nat.IPv4, false), "-p udp"); got != 60 {
			t.Errorf("%d of the other's 60 rules are there", got)
		}
		if got := strings.Count(saved(t, v, nat.IPv4, true), "-A PREROUTING"); got != 1 {
			t.Errorf("%d hooks", got)
		}
	})
}

func TestApplyRefusesBadRules(t *testing.T) {
	newNetns(t)
	b := newBackend(t, NFT)
	bad := web(v1, 8443)
	bad.Targets[0].Port = 0
	if change, err := b.Apply(testContext(t), nat.Rules{Redirects: []nat.Redirect{bad}}); err == nil || change.Changed {
		t.Errorf("got %+v, %v", change, err)
	}
}

// TestApplyTableOfNFT: iptables-nft can write into a table that it cannot read.
// We must not.
func TestApplyTableOfNFT(t *testing.T) {
	newNetns(t)
	commandInput(t, `
		table ip nat {
			set ports { type inet_service; elements = { 443, 444 }; }
			chain PREROUTING { type nat hook prerouting priority -100; tcp dport @ports redirect to :8443; }
		}`, "nft", "-f", "-")
	before := command(t, "nft", "list", "ruleset")
	b := newBackend(t, NFT)
	if _, err := b.Apply(testContext(t), nat.Rules{Redirects: []nat.Redirect{web(v1, 8443)}}); !errors.Is(err, errIncompatible) {
		t.Errorf("got %v, want %v", err, errIncompatible)
	}
	if d := cmp.Diff(before, command(t, "nft", "list", "ruleset")); d != "" {
		t.Error(d)
	}
}

// TestApplyPinnedChain: somebody's own rule leads into our chains. A switch
// works all the same, and Remove says what it could not take away.
func TestApplyPinnedChain(t *testing.T) {
	eachWay(t, func(t *testing.T, v Variant) {
		var log strings.Builder
		b, err := New(t.Context(), Options{Log: textLog(&log), Variant: v})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		mustApply(t, b, web(v1, 8443))
		ipt(t, v, nat.IPv4, "-t nat -N FOO")
		ipt(t, v, nat.IPv4, "-t nat -A FOO -j "+web1)
		mustApply(t, b, web(v2, 8444))
		if got := strings.Count(log.String(), "rule=\"-A FOO -j "+web1); got != 1 {
			t.Errorf("said %d times:\n%s", got, log.String())
		}
		if change := mustApply(t, b, web(v2, 8444)); change.Changed {
			t.Error("the pinned chain is written to again and again")
		}
		checkInstalled(t, b, nat.Rules{Redirects: []nat.Redirect{web(v2, 8444)}})
		err = b.Remove(testContext(t))
		if err == nil || !strings.Contains(err.Error(), "-A FOO -j "+web1) {
			t.Errorf("got %v, want the rule named", err)
		}
		ipt(t, v, nat.IPv4, "-t nat -F FOO")
		if err := b.Remove(testContext(t)); err != nil {
			t.Error(err)
		}
		wantNoTrace(t, v)
	})
}

// holdXtablesLock keeps the lock that iptables-legacy takes.
func holdXtablesLock(t *testing.T) (release func()) {
	t.Helper()
	f, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}

// TestApplyWaitsForLock is about the legacy variant: nft has no such lock. Not
// parallel: all tests share the lock.
func TestApplyWaitsForLock(t *testing.T) {
	newNetns(t)
	b := newBackend(t, Legacy)
	b.tools[0].wait, b.tools[1].wait = 1, 1
	mustApply(t, b, web(v1, 8443))
	before := saved(t, Legacy, nat.IPv4, true)

	release := holdXtablesLock(t)
	change, err := b.Apply(testContext(t), nat.Rules{Redirects: []nat.Redirect{web(v2, 8444)}})
	release()
	var cmdErr *CommandError
	if change.Changed || !errors.Is(err, ErrLockBusy) || !errors.As(err, &cmdErr) {
		t.Fatalf("got %+v, %v", change, err)
	}
	if holder := fmt.Sprintf("process %d (", os.Getpid()); !strings.HasPrefix(cmdErr.Hint(), holder) {
		t.Errorf("hint %q, want the holder %q in it", cmdErr.Hint(), holder)
	}
	if d := cmp.Diff(before, saved(t, Legacy, nat.IPv4, true)); d != "" {
		t.Errorf("half applied: %s", d)
	}

	b.tools[0].wait, b.tools[1].wait = 10, 10
	release = holdXtablesLock(t)
	begun := time.Now()
	timer := time.AfterFunc(300*time.Millisecond, release)
	defer timer.Stop()
	mustApply(t, b, web(v2, 8444))
	if took := time.Since(begun); took < 250*time.Millisecond {
		t.Errorf("did not wait: %v", took)
	}
}

// TestApplyDeadline: the context ends while a command waits. The command ends
// with it, and says why it waited if there is time to.
func TestApplyDeadline(t *testing.T) {
	newNetns(t)
	b := newBackend(t, Legacy)
	mustApply(t, b, web(v1, 8443))
	before := saved(t, Legacy, nat.IPv4, true)
	for limit, want := range map[time.Duration]error{
		300 * time.Millisecond:  context.DeadlineExceeded,
		2500 * time.Millisecond: ErrLockBusy,
	} {
		release := holdXtablesLock(t)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		begun := time.Now()
		_, err := b.Apply(ctx, nat.Rules{Redirects: []nat.Redirect{web(v2, 8444)}})
		cancel()
		release()
		if !errors.Is(err, want) {
			t.Errorf("%v: got %v, want %v", limit, err, want)
		}
		if took := time.Since(begun); took > limit+2*time.Second {
			t.Errorf("%v: took %v", limit, took)
		}
		if d := cmp.Diff(before, saved(t, Legacy, nat.IPv4, true)); d != "" {
			t.Errorf("half applied: %s", d)
		}
	}
}

// TestApplyKilled ends Apply, and its command with SIGKILL, at many points.
// Each family must hold the old rules or the new ones, never a mixture.
func TestApplyKilled(t *testing.T) {
	eachWay(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		mustApply(t, b, web(v1, 8443))
		whole := map[nat.Family][]string{}
		for _, f := range families {
			whole[f] = append(whole[f], saved(t, v, f, true))
		}
		begun := time.Now()
		mustApply(t, b, web(v2, 8444))
		took := time.Since(begun)
		for _, f := range families {
			whole[f] = append(whole[f], saved(t, v, f, true))
		}
		const rounds = 40
		killed := 0
		for i := range rounds {
			ctx, cancel := context.WithTimeout(t.Context(), took*time.Duration(i)/rounds)
			_, err := apply(ctx, t, b, nat.Rules{Redirects: []nat.Redirect{web([]string{v1, v2}[i%2], uint16(8443+i%2))}})
			cancel()
			if err != nil {
				killed++
			}
			for _, f := range families {
				if got := saved(t, v, f, true); !slices.Contains(whole[f], got) {
					t.Fatalf("%v: neither old nor new:\n%s", f, got)
				}
			}
		}
		if killed == 0 {
			t.Error("nothing was killed")
		}
		mustApply(t, b, web(v1, 8443))
		checkInstalled(t, b, nat.Rules{Redirects: []nat.Redirect{web(v1, 8443)}})
	})
}

// TestApplyMigrates: the host has changed from one variant to the other.
func TestApplyMigrates(t *testing.T) {
	eachWay(t, func(t *testing.T, v Variant) {
		mustApply(t, newBackend(t, v.other()), web(v1, 8443))
		ipt(t, v.other(), nat.IPv4, "-t nat -A PREROUTING -p udp --dport 53 -j ACCEPT")
		b := newBackend(t, v)
		// What is current must not be forgotten with the variant.
		checkInstalled(t, b, nat.Rules{Redirects: []nat.Redirect{web(v1, 8443)}})
		if change := mustApply(t, b, web(v2, 8444)); !change.Changed || change.Repaired {
			t.Errorf("got %+v", change)
		}
		checkInstalled(t, b, nat.Rules{Redirects: []nat.Redirect{web(v2, 8444)}})
		wantNoTrace(t, v.other())
		if got := saved(t, v.other(), nat.IPv4, false); !strings.Contains(got, "--dport 53") {
			t.Errorf("somebody's rule is gone: %q", got)
		}
		if change := mustApply(t, b, web(v2, 8444)); change.Changed {
			t.Error("not settled")
		}
	})
}

func TestNewLoadsNoLegacyTable(t *testing.T) {
	newNetns(t)
	b := newBackend(t, Legacy)
	if _, err := b.Read(testContext(t)); err != nil {
		t.Error(err)
	}
	mustApply(t, b)
	if err := b.Remove(testContext(t)); err != nil {
		t.Error(err)
	}
	n := newBackend(t, NFT)
	mustApply(t, n, web(v1, 8443))
	before := command(t, "nft", "list", "ruleset")
	if _, err := n.Foreign(testContext(t), []nat.Redirect{web(v1, 8443)}); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(before, command(t, "nft", "list", "ruleset")); d != "" {
		t.Errorf("Foreign wrote: %s", d)
	}
	if err := n.Remove(testContext(t)); err != nil {
		t.Error(err)
	}
	for _, f := range families {
		for _, table := range []string{"nat", "filter"} {
			if legacyTable(f, table) {
				t.Errorf("%v table %s was loaded", f, table)
			}
		}
	}
}

func wantNoTrace(t *testing.T, v Variant) {
	t.Helper()
	for _, f := range families {
		if got := saved(t, v, f, true); got != "" {
			t.Errorf("%v %v: left over:\n%s", v, f, got)
		}
	}
}

func TestRemove(t *testing.T) {
	eachWay(t, func(t *testing.T, v Variant) {
		b := newBackend(t, v)
		if err := b.Remove(testContext(t)); err != nil {
			t.Errorf("nothing there: %v", err)
		}
		// Ours in both variants, as after a change of the host's variant.
		mustApply(t, newBackend(t, v.other()), goldenRules().Redirects...)
		mustApply(t, b, goldenRules().Redirects...)
		mustApply(t, newBackend(t, v.other()), goldenRules().Redirects...)
		for range 2 {
			if err := b.Remove(testContext(t)); err != nil {
				t.Error(err)
			}
			wantNoTrace(t, NFT)
			wantNoTrace(t, Legacy)
		}
		if change := mustApply(t, b, web(v1, 8443)); !change.Changed || change.Repaired {
			t.Errorf("Apply after Remove: %+v", change)
		}
	})
}
