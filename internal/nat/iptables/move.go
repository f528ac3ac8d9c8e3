package iptables

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// move is the first half of an Apply that only leads services elsewhere, as a
// switch does. It writes what the families lack by what the last Apply left
// there, before anything is read: a read takes as long as a write, and nobody
// else writes into our chains as a rule. Where somebody did, a write fails or
// was not all there is to write; a read shows it, which follows unless the
// kernel has proven that nobody did.
//
// It returns the families that were written to, and those that are proven to be
// as wanted. The error is one that leaves no time for more.
func (b *Backend) move(ctx context.Context, want nat.Rules) (moved, proven nat.Family, err error) {
	var before proof
	wanted := map[nat.Family]layout{}
	writes := 0
	for _, t := range b.tools {
		l, err := newLayout(want, t.family)
		if err != nil {
			return moved, 0, err
		}
		b.mu.Lock()
		last, known := b.last[t.family]
		b.mu.Unlock()
		if !known || !sameServices(last, l) {
			return moved, 0, nil // IPv4 comes first, always
		}
		wanted[t.family] = l
		script := diff(last, l)
		if script == "" {
			continue
		}
		if writes == 0 {
			before = b.proof(ctx)
		} else if want.Unhurried {
			rest(ctx)
		}
		switch err := b.write(ctx, t, script); {
		case err == nil:
			moved |= t.family
			writes++
			b.forget(t.family)
		case ctx.Err() != nil, errors.Is(err, ErrLockBusy):
			b.forget(t.family)
			return moved, 0, err
		default:
			return moved, 0, nil
		}
	}
	if writes == 0 {
		return 0, 0, nil
	}
	if want.Unhurried && b.variant == Legacy { // which is read now
		rest(ctx)
	}
	return moved, b.prove(ctx, before, wanted, writes), nil
}

// rest lets the servers of a busy host have the processors between two steps of a
// move that nobody waits for: each takes a millisecond or two, and all of them in
// a row would be felt.
func rest(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Millisecond):
	}
}

// sameServices reports whether have and want differ in no chain that several
// services share. There a rule's number, if have is not what there is any more,
// might be that of another service.
func sameServices(have snapshot, want layout) bool {
	for _, base := range bases {
		if !slices.Equal(have.chains[base.name], want[base.name]) {
			return false
		}
	}
	return true
}

// forget makes what a family holds unknown until it is read again.
func (b *Backend) forget(family nat.Family) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.last, family)
}
