package companion

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const owned = flagOwner | flagPersist

// TestDifference: transactions as text, from what is there to what is wanted.
func TestDifference(t *testing.T) {
	want := schema().with([]uint16{61000, 61001}, []uint16{61000})
	as := func(flags uint32, change func(*layout)) found {
		l := schema().with([]uint16{61000, 61001}, []uint16{61000})
		if change != nil {
			l.chains = slices.Clone(l.chains)
			change(&l)
		}
		return found{header{name: Name, flags: flags}, l}
	}
	everything := []string{
		"add ct timeout redirected4", "add ct timeout redirected6",
		"add set guarded", "add ports of set guarded", "add set private", "add ports of set private",
		"add chain guard", "add a rule to chain guard", "add a rule to chain guard",
		"add chain output", "add a rule to chain output", "add a rule to chain output",
		"add chain pin",
		"add chain prerouting", "add a rule to chain prerouting", "add a rule to chain prerouting",
	}
	clear := []string{
		"flush the rules", "delete set guarded", "delete set private",
		"delete chain guard", "delete chain output", "delete chain pin", "delete chain prerouting",
	}
	for _, test := range []struct {
		name  string
		have  found
		flags uint32
		want  []string
	}{
		{"no table", found{}, owned, slices.Concat([]string{"add the table"}, everything)},
		{"as wanted", as(owned, nil), owned, nil},
		{"as wanted, plain", as(0, nil), 0, nil},
		{"without its owner", as(flagPersist, nil), owned, []string{"add the table"}},
		{"other ports", as(owned, func(l *layout) { *l = l.with([]uint16{61001, 61002}, nil) }), owned,
			[]string{"add ports of set guarded", "add ports of set private", "delete ports of set private"}},
		{"a plain table that can have an owner", as(0, nil), owned, slices.Concat([]string{"delete the table", "add the table"}, everything)},
		{"a sleeping table", as(1, nil), 0, slices.Concat([]string{"delete the table", "add the table"}, everything)},
		{"a rule less keeps the timeouts", as(owned, func(l *layout) { l.chains[0].rules = nil }), owned,
			slices.Concat(clear, everything[2:])},
		{"another priority", as(owned, func(l *layout) { l.chains[1].priority = -150 }), owned,
			slices.Concat(clear, everything[2:])},
		{"another timeout", as(owned, func(l *layout) { l.timeouts = l.timeouts[:1] }), owned,
			slices.Concat(clear, []string{"delete ct timeout redirected4"}, everything)},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := difference(test.have, want, test.flags)
			if b.err != nil {
				t.Fatal(b.err)
			}
			if diff := cmp.Diff(test.want, b.what); diff != "" {
				t.Errorf("transaction (-want +got):\n%s", diff)
			}
		})
	}
}

// TestManyPorts: a list of elements that is too long for one message.
func TestManyPorts(t *testing.T) {
	b := &batch{}
	b.addPorts("private", make([]uint16, 4000))
	if b.err != nil || len(b.messages) != 4 {
		t.Errorf("%d messages, %v", len(b.messages), b.err)
	}
}
