package companion

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A shared table stands beside the daemon's and other shared ones, is written by
// one process after another, and outlives each of them.
func TestShared(t *testing.T) {
	n := newNamespace(t)
	daemon := n.open(t, Options{})
	apply(t, daemon, []uint16{61000}, []uint16{61000})
	a := n.open(t, Options{Name: "switcheroo-a", Shared: true})
	b := n.open(t, Options{Name: "switcheroo-a", Shared: true})
	other := n.open(t, Options{Name: "switcheroo-b", Shared: true})
	apply(t, a, []uint16{40400}, nil)
	apply(t, other, []uint16{40410}, nil)
	if change := apply(t, b, []uint16{40400, 40401}, nil); !change.Changed || change.Repaired {
		t.Errorf("the second process: %+v", change)
	}
	if change := apply(t, a, []uint16{40401}, nil); !change.Changed || change.Repaired {
		t.Errorf("the first one again: %+v", change)
	}
	if change := apply(t, b, []uint16{40401}, nil); change.Changed {
		t.Errorf("nothing to do: %+v", change)
	}
	if a.Pinned() || !daemon.Pinned() {
		t.Errorf("owned: shared %v, the daemon's %v", a.Pinned(), daemon.Pinned())
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		table *Table
		want  []uint16
	}{"daemon": {daemon, []uint16{61000}}, "a": {b, []uint16{40401}}, "b": {other, []uint16{40410}}} {
		s := state(t, c.table)
		if diff := cmp.Diff(c.want, s.Private); diff != "" || !s.Intact || s.Owned != (name == "daemon") {
			t.Errorf("%s: %+v\n%s", name, s, diff)
		}
	}
	if err := b.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if text := n.run(t, "nft", "list", "tables"); strings.Contains(text, "switcheroo-a") || !strings.Contains(text, "switcheroo-b") || !strings.Contains(text, "switcheroo\n") {
		t.Errorf("tables:\n%s", text)
	}
}
