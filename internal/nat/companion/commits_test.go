package companion

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Commits counts what nftables counts, whatever the transaction was for: a
// commit too many would hide one of somebody else's.
func TestCommits(t *testing.T) {
	for name, o := range map[string]Options{"owned": {}, "shared": {Name: Name + "-test", Shared: true}, "flags refused": {refused: true}} {
		t.Run(name, func(t *testing.T) {
			n := newNamespace(t)
			table := n.open(t, o)
			before := generation(t, table)
			check := func(after string) {
				t.Helper()
				if got, want := table.Commits(), generation(t, table)-before; got != want {
					t.Errorf("%s: %d commits counted, and there were %d", after, got, want)
				}
			}
			check("open")
			apply(t, table, []uint16{61000}, []uint16{61000})
			check("create")
			apply(t, table, []uint16{61000}, []uint16{61000})
			check("nothing to do")
			apply(t, table, []uint16{61000, 61001}, []uint16{61001})
			check("other ports")
			hold := Hold{Queue: 21335, Hold: nat.Hold{Service: "web", Until: 1000 * time.Hour, Scope: nat.Network,
				Targets: []nat.Target{{Endpoint: nat.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Port: 80}, Port: 61001}}}}
			if o.Shared {
				if err := table.Remove(t.Context()); err != nil {
					t.Fatal(err)
				}
				check("remove")
				return
			}
			if _, err := table.Apply(t.Context(), []uint16{61001}, []uint16{61001}, hold); err != nil {
				t.Fatal(err)
			}
			check("a hold")
			if err := table.Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			check("remove")
			apply(t, table, []uint16{61001}, nil)
			check("create again")
			if table.Made() != 2 {
				t.Errorf("the timeouts were made %d times", table.Made())
			}
		})
	}
}

// An owned table that is as wanted is not read.
func TestKnownTableIsNotRead(t *testing.T) {
	table := newNamespace(t).open(t, Options{})
	apply(t, table, []uint16{61000}, nil)
	table.conn.name = "nowhere" // what is read is not there
	defer func() { table.conn.name = Name }()
	if change := apply(t, table, []uint16{61000}, nil); change != (nat.Change{}) {
		t.Errorf("%+v", change)
	}
}

// An Apply that failed may have changed the table all the same.
func TestTableIsReadAfterAnError(t *testing.T) {
	n := newNamespace(t)
	table := n.open(t, Options{})
	apply(t, table, []uint16{61000}, nil)
	before := list(t, n)
	table.conn.name = "nowhere"
	if _, err := table.Apply(t.Context(), []uint16{61000, 61001}, nil); err == nil {
		t.Fatal("a change that could not be read back")
	}
	table.conn.name = Name
	if list(t, n) == before {
		t.Fatal("the change was not made")
	}
	if change := apply(t, table, []uint16{61000}, nil); !change.Changed {
		t.Errorf("%+v", change)
	}
	if diff := cmp.Diff(before, list(t, n)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}
