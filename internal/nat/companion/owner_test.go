package companion

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// generation returns the number of the last nf_tables transaction.
func generation(t *testing.T, table *Table) uint32 {
	t.Helper()
	answer, err := table.conn.request(unix.NFT_MSG_GETGEN, 0, func(*netlink.AttributeEncoder) {})
	if err != nil || len(answer) != 1 {
		t.Fatalf("get generation: %v, %v", answer, err)
	}
	attrs, err := netlink.UnmarshalAttributes(answer[0].Data[nfgenmsgLen:])
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range attrs {
		if a.Type == unix.NFTA_GEN_ID {
			return binary.BigEndian.Uint32(a.Data)
		}
	}
	t.Fatal("no generation")
	return 0
}

func TestNobodyElseChangesIt(t *testing.T) {
	n := newNamespace(t)
	table := n.open(t, Options{})
	apply(t, table, []uint16{61000}, []uint16{61000})
	if !table.Pinned() {
		t.Fatal("not pinned: this kernel has no persistent owner (Linux 6.9)")
	}
	before := list(t, n)
	for _, attack := range []string{
		"delete table inet switcheroo",
		"flush chain inet switcheroo guard",
		"add element inet switcheroo guarded { 61001 }",
		"add table inet switcheroo { flags dormant; }",
	} {
		out, err := n.try("nft", strings.Fields(attack)...)
		if err == nil || !strings.Contains(out, "Operation not permitted") {
			t.Errorf("%s: %v\n%s", attack, err, out)
		}
	}
	n.run(t, "nft", "flush", "ruleset") // spares it, and says nothing
	if diff := cmp.Diff(before, list(t, n)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestOwnerIsKilled(t *testing.T) {
	n := newNamespace(t)
	owner := ownerProcess(t, n)

	var err error
	n.do(func() { _, err = Open(t.Context(), Options{}) })
	if want := fmt.Sprintf("pid %d (exe)", owner.Pid); !errors.Is(err, ErrOwned) || !strings.Contains(err.Error(), want) {
		t.Errorf("Open beside a living owner: %v, want %v with %q", err, ErrOwned, want)
	}

	owner.Kill()
	owner.Wait()
	before := list(t, n) // it outlives its owner
	table := n.open(t, Options{})
	if !table.Pinned() {
		t.Error("Open did not take the table over")
	}
	want := State{Exists: true, Owned: true, Intact: true, Private: []uint16{61000}, Guarded: []uint16{61000}}
	if diff := cmp.Diff(want, state(t, table)); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(nat.Change{}, apply(t, table, []uint16{61000}, []uint16{61000})); diff != "" {
		t.Errorf("change (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, list(t, n)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// TestTwoTables: what a Table must not do while, and may do after, another one
// owns the table.
func TestTwoTables(t *testing.T) {
	n := newNamespace(t)
	first, second := n.open(t, Options{}), n.open(t, Options{})
	apply(t, first, []uint16{61000}, nil)
	if _, err := second.Apply(t.Context(), nil, nil); !errors.Is(err, ErrOwned) {
		t.Errorf("Apply: %v, want %v", err, ErrOwned)
	}
	if err := second.Remove(t.Context()); !errors.Is(err, ErrOwned) {
		t.Errorf("Remove: %v, want %v", err, ErrOwned)
	}
	want := State{Exists: true, Owned: true, Intact: true, Private: []uint16{61000}}
	if diff := cmp.Diff(want, state(t, second)); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	want.Owned = false
	if diff := cmp.Diff(want, state(t, second)); diff != "" {
		t.Errorf("state after Close (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(nat.Change{Changed: true}, apply(t, second, []uint16{61000}, nil)); diff != "" {
		t.Errorf("taking it over (-want +got):\n%s", diff)
	}
	if !second.Pinned() {
		t.Error("not pinned")
	}
}

// TestPlainTableGetsAnOwner: a table from before a kernel was able to.
func TestPlainTableGetsAnOwner(t *testing.T) {
	n := newNamespace(t)
	old := n.open(t, Options{refused: true})
	apply(t, old, []uint16{61000}, nil)
	if old.Pinned() {
		t.Error("a plain table is pinned")
	}
	old.Close()
	table := n.open(t, Options{})
	if diff := cmp.Diff(nat.Change{Changed: true}, apply(t, table, []uint16{61000}, nil)); diff != "" {
		t.Errorf("change (-want +got):\n%s", diff)
	}
	if !table.Pinned() {
		t.Error("not pinned")
	}
}

func TestSocketInode(t *testing.T) {
	const text = `sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
0000000000000000 0   4242       00000000 0        0        0     2        0        1
0000000000000000 12  4242       00000040 0        0        0     2        0        777
0000000000000000 12  4294963201 00000000 0        0        0     2        0        778
`
	for port, want := range map[uint32]string{4242: "777", 4294963201: "778", 1: ""} {
		if got := socketInode(strings.NewReader(text), port); got != want {
			t.Errorf("port %d: inode %q, want %q", port, got, want)
		}
	}
}
