package iptables

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// BenchmarkSwitch is one Apply that moves one service, beside the bare
// `iptables -R` of the same rule. Apply covers two families, each read before
// and after.
func BenchmarkSwitch(b *testing.B) {
	for _, v := range variants {
		for _, services := range []int{1, 1000} {
			name := fmt.Sprintf("%v/services=%d/", v, services)
			b.Run(name+"apply", func(b *testing.B) {
				newNetns(b)
				backend, rules := manyServices(b, v, services)
				n := 0
				for b.Loop() {
					n++
					rules[0].Activation = []string{v1, v2}[n%2]
					mustApply(b, backend, rules...)
				}
			})
			b.Run(name+"unchanged", func(b *testing.B) {
				newNetns(b)
				backend, rules := manyServices(b, v, services)
				for b.Loop() {
					mustApply(b, backend, rules...)
				}
			})
			b.Run(name+"bare", func(b *testing.B) {
				newNetns(b)
				manyServices(b, v, services)
				for b.Loop() {
					ipt(b, v, nat.IPv4, strings.ReplaceAll("-t nat -R "+chainPrefix+nat.Key("s0")+" 1"+
						" -m comment --comment "+comment(nat.Key("s0"), v1)+" -j "+chainPrefix+nat.ActivationKey("s0", v1), `"`, ""))
				}
			})
		}
	}
}

// BenchmarkLegacyRead is one read of a legacy table, as the table itself has it and
// as iptables-legacy-save shows it.
func BenchmarkLegacyRead(b *testing.B) {
	for _, services := range []int{1, 1000} {
		for _, by := range []string{"table", "command"} {
			b.Run(fmt.Sprintf("services=%d/%s", services, by), func(b *testing.B) {
				newNetns(b)
				backend, _ := manyServices(b, Legacy, services)
				t := backend.tools[0]
				if _, err := legacyNAT(t.family); err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					var err error
					if by == "table" {
						_, err = t.read(b.Context())
					} else {
						_, err = t.readTable(b.Context())
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// manyServices applies so many services.
func manyServices(tb testing.TB, v Variant, n int) (*Backend, []nat.Redirect) {
	tb.Helper()
	var rules []nat.Redirect
	for i := range n {
		rules = append(rules, nat.Redirect{Service: fmt.Sprint("s", i), Activation: v1, Scope: nat.Everyone,
			Targets: []nat.Target{target("", uint16(1000+i), uint16(40000+i), nat.DualStack)}})
	}
	backend, err := New(tb.Context(), Options{Variant: v})
	if err != nil {
		tb.Fatal(err)
	}
	mustApply(tb, backend, rules...)
	return backend, rules
}

// BenchmarkWrite is the write of one family in a switch, by a command of its own
// and by one that was started ahead. What it reports beside the time is processor
// time from the write's begin to its end: the command's, and this process's.
func BenchmarkWrite(b *testing.B) {
	for _, v := range variants {
		for _, ahead := range []bool{false, true} {
			b.Run(fmt.Sprintf("%v/ahead=%v", v, ahead), func(b *testing.B) {
				newNetns(b)
				backend := newBackend(b, v)
				mustApply(b, backend, switched(0).Redirects...)
				tool := backend.tools[0]
				var theirs, ours time.Duration
				n := 0
				b.ResetTimer()
				for b.Loop() {
					b.StopTimer()
					n++
					have, err := tool.readTable(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					want, err := newLayout(switched(n), tool.family)
					if err != nil {
						b.Fatal(err)
					}
					script := diff(have, want)
					if ahead {
						theirs -= begun(b, tool)
					}
					theirs -= used(b, unix.RUSAGE_CHILDREN)
					ours -= used(b, unix.RUSAGE_SELF)
					b.StartTimer()
					done, err := tool.write(b.Context(), script)
					b.StopTimer()
					ours += used(b, unix.RUSAGE_SELF)
					theirs += used(b, unix.RUSAGE_CHILDREN)
					if done != ahead || err != nil {
						b.Fatal(done, err)
					}
					b.StartTimer()
				}
				b.ReportMetric(float64(theirs.Microseconds())/float64(n), "command-cpu-µs/op")
				b.ReportMetric(float64(ours.Microseconds())/float64(n), "own-cpu-µs/op")
			})
		}
	}
}

// begun starts a tool's command ahead, and returns what processor time it has
// used once it waits.
func begun(tb testing.TB, t *tool) time.Duration {
	tb.Helper()
	t.ahead.anticipate(t.restoring(t.wait))
	w := t.ahead.writer
	<-w.started
	waitFor(tb, "the command to wait", func() bool { return reads(w.process.pid) })
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", w.process.pid))
	if err != nil {
		tb.Fatal(err)
	}
	var ns int64
	if _, err := fmt.Sscan(string(stat), &ns); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(ns)
}

func used(tb testing.TB, who int) time.Duration {
	tb.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(who, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
