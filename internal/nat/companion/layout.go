package companion

import (
	"reflect"
	"slices"

	"github.com/google/nftables/expr"
)

// layout is what a table holds, wanted or read: each list sorted by name.
type layout struct {
	table    string // its name, if wanted
	timeouts []timeout
	sets     []set
	chains   []chain
}

// set is a set of ports.
type set struct {
	name            string
	flags           uint32
	keyType, keyLen uint32
	ports           []uint16 // sorted
}

// chain is a base chain with its rules.
type chain struct {
	name, kind   string
	hook, policy uint32
	priority     int32
	rules        []rule
}

type rule struct {
	comment string
	exprs   []expr.Any
}

const (
	accept          = 1  // NF_ACCEPT
	typeInetService = 13 // nft's number of the type; the kernel only keeps it
)

// with returns l with ports in its sets.
func (l layout) with(private, guarded []uint16) layout {
	l.sets = slices.Clone(l.sets)
	for i := range l.sets {
		switch l.sets[i].name {
		case privateSet:
			l.sets[i].ports = private
		case guardedSet:
			l.sets[i].ports = guarded
		}
	}
	return l
}

// ports returns the elements of the named set.
func (l layout) ports(name string) []uint16 {
	for _, s := range l.sets {
		if s.name == name {
			return s.ports
		}
	}
	return nil
}

// same reports whether l and want are the same in all that an Apply sees to. The
// zero layout, of which nothing is known, is like no other.
func (l layout) same(want layout) bool {
	return l.chains != nil && l.sameTimeouts(want) && l.sameShape(want) && l.sameHolds(want) && l.samePorts(want)
}

// sameTimeouts, sameShape and samePorts compare l, as read, with want.
func (l layout) sameTimeouts(want layout) bool {
	return slices.EqualFunc(l.timeouts, want.timeouts, timeout.holds)
}

// sameShape is about everything but the timeouts, the sets' elements, and the
// rules that hold connections.
func (l layout) sameShape(want layout) bool {
	return slices.EqualFunc(l.sets, want.sets, func(a, b set) bool {
		return a.name == b.name && a.flags == b.flags && a.keyType == b.keyType && a.keyLen == b.keyLen
	}) && slices.EqualFunc(l.chains, want.chains, func(a, b chain) bool {
		return a.name == b.name && a.kind == b.kind && a.hook == b.hook && a.policy == b.policy && a.priority == b.priority &&
			(a.holds() || a.same(b))
	})
}

// sameHolds is about those rules.
func (l layout) sameHolds(want layout) bool {
	return slices.EqualFunc(l.chains, want.chains, func(a, b chain) bool { return !a.holds() || a.same(b) })
}

// same compares the rules of two chains.
func (c chain) same(d chain) bool {
	return slices.EqualFunc(c.rules, d.rules, func(a, b rule) bool { return reflect.DeepEqual(a, b) })
}

func (l layout) samePorts(want layout) bool {
	return slices.EqualFunc(l.sets, want.sets, func(a, b set) bool {
		return a.name == b.name && slices.Equal(a.ports, b.ports)
	})
}

// sorted returns ports in order, each once, without 0.
func sorted(ports []uint16) []uint16 {
	p := slices.Clone(ports)
	slices.Sort(p)
	p = slices.Compact(p)
	if len(p) > 0 && p[0] == 0 {
		p = p[1:]
	}
	return p
}

// minus returns the ports of a that b lacks; both are sorted.
func minus(a, b []uint16) []uint16 {
	var left []uint16
	for _, p := range a {
		if _, found := slices.BinarySearch(b, p); !found {
			left = append(left, p)
		}
	}
	return left
}
