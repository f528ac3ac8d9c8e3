package companion

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

var update = flag.Bool("update", false, "write testdata/table.nft")

// list is what nft shows of our table, without what depends on its version
// (flags, the unit of a timeout) and on the process (its name).
func list(t *testing.T, n *namespace) string {
	t.Helper()
	text := n.run(t, "nft", "list", "table", "inet", Name)
	text = regexp.MustCompile(` # progname .*|\tflags .*\n\n?`).ReplaceAllString(text, "")
	return regexp.MustCompile(`( : \d+)s`).ReplaceAllString(text, "$1")
}

func apply(t *testing.T, table *Table, private, guarded []uint16) nat.Change {
	t.Helper()
	change, err := table.Apply(t.Context(), private, guarded)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	return change
}

func state(t *testing.T, table *Table) State {
	t.Helper()
	s, err := table.Read(t.Context())
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return s
}

func TestGolden(t *testing.T) {
	const file = "testdata/table.nft"
	for _, plain := range []bool{false, true} {
		n := newNamespace(t)
		apply(t, n.open(t, Options{refused: plain}), []uint16{61000, 61001, 61002}, []uint16{61000, 61002})
		got := list(t, n)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("plain=%v (-want +got):\n%s", plain, diff)
		}
	}
}

// TestMove: of an owner's table only the ports are read back, and a mistake
// about what it holds is found all the same.
func TestMove(t *testing.T) {
	n := newNamespace(t)
	table := n.open(t, Options{})
	apply(t, table, []uint16{61000, 61001}, []uint16{61000})
	apply(t, table, []uint16{61001, 61002}, []uint16{61002})
	if !table.Pinned() {
		t.Log("no owner on this kernel: nothing is skipped")
	}
	for _, mistaken := range []layout{
		table.placed.with(nil, nil),                            // adds what is there: no error
		table.placed.with([]uint16{61005}, []uint16{61006}),    // deletes what is not there: an error
		table.placed.with([]uint16{61001, 61002, 61003}, nil),  // both
		{chains: table.placed.chains, sets: table.placed.sets}, // of timeouts it says nothing
	} {
		table.placed = mistaken
		apply(t, table, []uint16{61003, 61004}, []uint16{61003})
		got := state(t, table)
		want := State{Exists: true, Owned: table.Pinned(), Intact: true, Private: []uint16{61003, 61004}, Guarded: []uint16{61003}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		apply(t, table, []uint16{61001, 61002}, []uint16{61002})
	}
}

// BenchmarkApply is what a switch waits for: one port comes, one goes.
func BenchmarkApply(b *testing.B) {
	n := newNamespace(b)
	table := n.open(b, Options{})
	for i := uint16(0); b.Loop(); i++ {
		if _, err := table.Apply(b.Context(), []uint16{61000 + i%2, 61002}, []uint16{61000 + i%2}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestApply(t *testing.T) {
	n := newNamespace(t)
	table := n.open(t, Options{})
	if got, want := state(t, table), (State{}); !cmp.Equal(got, want) {
		t.Errorf("before the first Apply: %+v", got)
	}
	many := make([]uint16, 0, 4000)
	for p := uint16(61000); p < 65000; p++ {
		many = append(many, p)
	}
	for _, step := range []struct {
		name             string
		private, guarded []uint16
		changed          bool
		want             State
	}{
		{"creates", []uint16{61001, 61000}, []uint16{61000}, true, State{Private: []uint16{61000, 61001}, Guarded: []uint16{61000}}},
		{"is idempotent", []uint16{61000, 61001, 61001}, []uint16{61000}, false, State{Private: []uint16{61000, 61001}, Guarded: []uint16{61000}}},
		{"adds and deletes", []uint16{61001, 61002}, []uint16{61001, 61002}, true, State{Private: []uint16{61001, 61002}, Guarded: []uint16{61001, 61002}}},
		{"every private port", many, many, true, State{Private: many, Guarded: many}},
		{"none", nil, nil, true, State{}},
		{"port 0 is no port", []uint16{0}, nil, false, State{}},
	} {
		t.Run(step.name, func(t *testing.T) {
			change := apply(t, table, step.private, step.guarded)
			if diff := cmp.Diff(nat.Change{Changed: step.changed}, change); diff != "" {
				t.Errorf("change (-want +got):\n%s", diff)
			}
			step.want.Exists, step.want.Owned, step.want.Intact = true, true, true
			if diff := cmp.Diff(step.want, state(t, table)); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}

// TestApplyTwiceWritesNothing asks the kernel: each transaction, even an empty
// one, makes a new generation.
func TestApplyTwiceWritesNothing(t *testing.T) {
	for _, plain := range []bool{false, true} {
		n := newNamespace(t)
		table := n.open(t, Options{refused: plain})
		apply(t, table, []uint16{61000}, []uint16{61000})
		before := generation(t, table)
		apply(t, table, []uint16{61000}, []uint16{61000})
		if after := generation(t, table); after != before {
			t.Errorf("plain=%v: generation %d became %d", plain, before, after)
		}
		apply(t, table, []uint16{61001}, nil)
		if after := generation(t, table); after != before+1 {
			t.Errorf("plain=%v: a change of both sets took %d transactions", plain, after-before)
		}
	}
}

func TestRepair(t *testing.T) {
	for _, test := range []struct{ name, attack string }{
		{"table deleted", "delete table inet switcheroo"},
		{"ruleset flushed", "flush ruleset"},
		{"rules flushed", "flush table inet switcheroo"},
		{"chain deleted", "delete chain inet switcheroo pin"},
		{"chain added", "add chain inet switcheroo more"},
		{"rule added", "insert rule inet switcheroo guard accept"},
		{"rule of an unknown kind added", "insert rule inet switcheroo prerouting notrack"},
		{"set added", "add set inet switcheroo more { type ipv4_addr; }"},
		{"port added", "add element inet switcheroo guarded { 61003 }"},
		{"port deleted", "delete element inet switcheroo private { 61000 }"},
		{"policy altered", "add chain inet switcheroo guard { policy drop; }"},
		{"asleep", "add table inet switcheroo { flags dormant; }"},
		{"timeout altered", `flush table inet switcheroo
			delete ct timeout inet switcheroo redirected4
			table inet switcheroo { ct timeout redirected4 { protocol tcp; l3proto ip; policy = { close: 10 }; }; }`},
		{"chain used by a map", `add chain inet switcheroo more
			add map inet switcheroo m { type inet_service : verdict; elements = { 1 : jump more }; }`},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNamespace(t)
			table := n.open(t, Options{refused: true})
			private, guarded := []uint16{61000, 61001, 61002}, []uint16{61000, 61002}
			apply(t, table, private, guarded)
			want := list(t, n)
			n.script(t, test.attack)
			if diff := cmp.Diff(nat.Change{Changed: true, Repaired: true}, apply(t, table, private, guarded)); diff != "" {
				t.Errorf("change (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, list(t, n)); diff != "" {
				t.Errorf("after the repair (-want +got):\n%s", diff)
			}
			if change := apply(t, table, private, guarded); change.Changed || change.Repaired {
				t.Errorf("once more: %+v", change)
			}
		})
	}
}

// TestFirstApplyOfAProcess: ports that changed while no daemon ran are no
// repair, an altered chain is.
func TestFirstApplyOfAProcess(t *testing.T) {
	for _, test := range []struct {
		name, attack string
		want         nat.Change
	}{
		{"as it was left", "", nat.Change{}},
		{"other ports", "add element inet switcheroo private { 61003 }", nat.Change{Changed: true}},
		{"altered", "flush chain inet switcheroo guard", nat.Change{Changed: true, Repaired: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNamespace(t)
			first := n.open(t, Options{refused: true})
			apply(t, first, []uint16{61000}, nil)
			first.Close()
			if test.attack != "" {
				n.script(t, test.attack)
			}
			if diff := cmp.Diff(test.want, apply(t, n.open(t, Options{refused: true}), []uint16{61000}, nil)); diff != "" {
				t.Errorf("change (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	for _, plain := range []bool{false, true} {
		n := newNamespace(t)
		table := n.open(t, Options{refused: plain})
		for range 2 { // the second time there is nothing to remove
			if err := table.Remove(t.Context()); err != nil {
				t.Fatalf("Remove: %v", err)
			}
			if left := n.run(t, "nft", "list", "ruleset"); left != "" {
				t.Errorf("plain=%v: left:\n%s", plain, left)
			}
		}
		if diff := cmp.Diff(nat.Change{Changed: true}, apply(t, table, nil, nil)); diff != "" {
			t.Errorf("Apply after Remove (-want +got):\n%s", diff)
		}
		if err := table.Remove(t.Context()); err != nil {
			t.Fatalf("Remove: %v", err)
		}
		if left := n.run(t, "nft", "list", "ruleset"); left != "" {
			t.Errorf("plain=%v: left:\n%s", plain, left)
		}
	}
}

func TestErrors(t *testing.T) {
	n := newNamespace(t)
	table := n.open(t, Options{})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, test := range []struct {
		ctx  context.Context
		want error
	}{{ended, context.Canceled}, {late, context.DeadlineExceeded}} {
		if _, err := table.Apply(test.ctx, nil, nil); !errors.Is(err, test.want) {
			t.Errorf("Apply: %v, want %v", err, test.want)
		}
	}
	apply(t, table, nil, nil) // the socket is still good
	if err := table.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := table.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	if _, err := table.Apply(t.Context(), nil, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Apply after Close: %v", err)
	}
	if err := table.Watch(t.Context(), func() {}); err != nil {
		t.Errorf("Watch after Close: %v", err)
	}
}

// TestCapabilities: CAP_NET_ADMIN is enough, and without it the error says so.
func TestCapabilities(t *testing.T) {
	for _, test := range []struct {
		name string
		keep uint32 // of the first 32 capabilities
		want string
	}{
		{"CAP_NET_ADMIN alone", 1 << unix.CAP_NET_ADMIN, ""},
		{"all but CAP_NET_ADMIN", ^uint32(1 << unix.CAP_NET_ADMIN), "CAP_NET_ADMIN"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNamespace(t)
			var err error
			n.do(func() { // this thread does nothing else, and ends with the test
				hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
				var data [2]unix.CapUserData
				if err = unix.Capget(&hdr, &data[0]); err != nil {
					return
				}
				keep := data[0].Permitted & test.keep
				data = [2]unix.CapUserData{{Effective: keep, Permitted: keep}}
				if err = unix.Capset(&hdr, &data[0]); err != nil {
					return
				}
				var table *Table
				if table, err = Open(t.Context(), Options{}); err != nil {
					return
				}
				defer table.Close()
				if _, err = table.Apply(t.Context(), []uint16{61000}, nil); err == nil {
					err = table.Remove(t.Context())
				}
			})
			if got := fmt.Sprint(err); test.want == "" && err != nil || !strings.Contains(got, test.want) {
				t.Errorf("error %q, want %q", got, test.want)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{unix.EPERM, "CAP_NET_ADMIN"},
		{fmt.Errorf("add chain pin: %w", unix.EOPNOTSUPP), "modprobe -a " + modules},
		{fmt.Errorf("add chain guard: %w", unix.ENOENT), "modprobe -a " + modules},
		{unix.EPROTONOSUPPORT, "modprobe -a " + modules},
		{fmt.Errorf("table: %w", ErrOwned), "table: " + ErrOwned.Error()},
		{context.DeadlineExceeded, context.DeadlineExceeded.Error()},
	} {
		got := explain(test.err)
		if !errors.Is(got, test.err) || !strings.Contains(got.Error(), test.want) {
			t.Errorf("%v: %v, want %q in it", test.err, got, test.want)
		}
	}
	if err := explain(nil); err != nil {
		t.Errorf("nil: %v", err)
	}
}
