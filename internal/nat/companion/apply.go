package companion

import (
	"context"
	"fmt"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Apply makes the table hold exactly our rules, with private as the ports that
// redirects lead to and guarded as those that answer redirected and loopback
// connections only (a subset of private that holds no public port). It creates
// the table, repairs it, or writes nothing; each in one transaction, so that on
// error the table is what it was. Order and duplicates do not matter. The
// connections of holds wait in their queues.
//
// Repaired in the answer: what an Apply had left was missing or altered.
func (t *Table) Apply(ctx context.Context, private, guarded []uint16, holds ...Hold) (nat.Change, error) {
	want := t.schema().with(sorted(private), sorted(guarded)).holding(holds)
	var change nat.Change
	err := t.exchange(ctx, func(c *conn) error {
		if t.owner && t.placed.same(want) {
			return nil // nobody alters a table but its owner
		}
		var moved bool
		if change.Changed, moved = t.move(c, want); !moved {
			have, err := c.read()
			if err != nil {
				return err
			}
			if err := have.check(c.port); err != nil {
				return err
			}
			change.Repaired = t.altered(have, want)
			written, err := t.write(c, have, want)
			if err != nil {
				return fmt.Errorf("write table inet %s: %w", t.name, err)
			}
			change.Changed = change.Changed || written
		}
		t.placed = want
		return nil
	})
	if err != nil {
		return nat.Change{}, err
	}
	if change.Repaired {
		t.log.Warn("repaired the nftables table", "table", t.name)
	}
	return change, nil
}

// move is Apply as a switch needs it, in a quarter of the time: all that changes
// is which ports are ours, and all the rest is known. It reports whether it has
// changed anything, and whether that was all; if not, for whatever reason, what is
// there has to be looked at.
func (t *Table) move(c *conn, want layout) (changed, done bool) {
	if !t.owner || !t.placed.sameShape(want) || !t.placed.sameHolds(want) || t.placed.samePorts(want) {
		return false, false
	}
	b := &batch{name: t.name}
	b.ports(t.placed, want)
	t.placed = layout{} // until it is known again
	if c.commit(b) != nil {
		return false, false
	}
	sets, err := c.readSets()
	return true, err == nil && (layout{sets: sets}).samePorts(want)
}

// altered says whether have is not what an Apply of this process left or, if
// there was none yet, not what one of an earlier process can have left.
func (t *Table) altered(have found, want layout) bool {
	if t.shared {
		return false
	}
	if t.placed.chains == nil {
		return have.exists() && len(have.chains) > 0 && !(have.sameTimeouts(want) && have.sameShape(want))
	}
	return !have.exists() || have.flags != t.flags || !have.sameTimeouts(t.placed) || !have.sameShape(t.placed) || !have.sameHolds(t.placed) || !have.samePorts(t.placed)
}

// write makes have want, and reads it back.
func (t *Table) write(c *conn, have found, want layout) (written bool, err error) {
	b := difference(have, want, t.flags)
	if len(b.messages) > 0 {
		t.placed = layout{} // until it is known again
	}
	if b.timed {
		t.made++ // also if it fails: it may be in force all the same
	}
	err = c.commit(b)
	if t.flags != 0 && refusesFlags(err) {
		b = difference(have, want, 0)
		if err = c.commit(b); err == nil { // so it was for the flags
			t.flags = 0
			t.log.Warn("this kernel has no nftables table that outlives its owner: "+
				"another program's \"nft flush ruleset\" can break established connections", "table", t.name, "needs", "Linux 6.9")
		}
	}
	if err != nil {
		return false, err
	}
	t.owner = t.flags&flagOwner != 0
	if len(b.messages) == 0 {
		return false, nil
	}
	if have, err = c.read(); err != nil {
		return true, fmt.Errorf("read back: %w", err)
	}
	if b := difference(have, want, t.flags); len(b.messages) > 0 {
		return true, fmt.Errorf("read back: the kernel does not hold what was written: it would take to %s", b.what[0])
	}
	return true, nil
}

// difference is the transaction that turns have into want. What is in order is
// left alone: connections lose their timeout policy with its object.
func difference(have found, want layout, flags uint32) *batch {
	b := &batch{name: want.table}
	switch {
	case !have.exists():
		b.table(flags)
		b.all(want)
		return b
	case have.flags == flags:
	case have.flags == flagPersist && flags&flagPersist != 0: // it has lost its owner
		b.table(flags)
	default: // an owner cannot be given to a table that never had one
		b.deleteTable()
		b.table(flags)
		b.all(want)
		return b
	}
	if have.sameTimeouts(want) && have.sameShape(want) {
		b.ports(have.layout, want)
		b.holds(have.layout, want)
	} else {
		b.replace(have.layout, want)
	}
	return b
}

// all adds everything to an empty table.
func (b *batch) all(want layout) {
	for _, t := range want.timeouts {
		b.timeout(t)
	}
	for i, s := range want.sets {
		b.set(s, uint32(i+1))
	}
	for _, c := range want.chains {
		b.chain(c)
	}
}

// replace exchanges all but the timeouts that are in order. The old hooks go
// when the transaction is complete and the new ones are there before, so that
// NAT and conntrack have a user at every moment.
func (b *batch) replace(have, want layout) {
	b.flushRules()
	for _, s := range have.sets { // first: a map may refer to a chain
		b.deleteSet(s.name)
	}
	for _, c := range have.chains {
		b.deleteChain(c.name)
	}
	if have.sameTimeouts(want) {
		want.timeouts = nil
	} else {
		for _, t := range have.timeouts {
			b.deleteTimeout(t.name)
		}
	}
	b.all(want)
}

// ports adds and deletes single elements.
func (b *batch) ports(have, want layout) {
	for _, s := range want.sets {
		b.addPorts(s.name, minus(s.ports, have.ports(s.name)))
		b.deletePorts(s.name, minus(have.ports(s.name), s.ports))
	}
}
