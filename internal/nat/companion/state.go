package companion

import (
	"context"
	"fmt"
)

// State is what Read found.
type State struct {
	Exists bool
	Owned  bool // by a living process, this one or another
	// Intact: timeouts, chains, rules and the sets' types are ours, unaltered.
	Intact           bool
	Private, Guarded []uint16 // sorted
}

// Read returns what the kernel holds, whoever owns it.
func (t *Table) Read(ctx context.Context) (State, error) {
	var s State
	err := t.exchange(ctx, func(c *conn) error {
		have, err := c.read()
		if err != nil {
			return err
		}
		want := t.schema()
		s = State{
			Exists:  have.exists(),
			Owned:   have.flags&flagOwner != 0,
			Intact:  have.exists() && have.sameTimeouts(want) && have.sameShape(want),
			Private: have.ports(privateSet),
			Guarded: have.ports(guardedSet),
		}
		return nil
	})
	return s, err
}

// Remove deletes the table, if there is one. Established connections whose
// redirects are gone as well stop being translated.
func (t *Table) Remove(ctx context.Context) error {
	return t.exchange(ctx, func(c *conn) error {
		have, err := c.readHeader()
		if err != nil || have.name == "" {
			return err
		}
		if err := have.check(c.port); err != nil {
			return err
		}
		b := &batch{name: t.name}
		b.deleteTable()
		t.placed = layout{} // whatever becomes of it
		if err := c.commit(b); err != nil {
			return fmt.Errorf("delete table inet %s: %w", t.name, err)
		}
		t.owner = false
		return nil
	})
}
