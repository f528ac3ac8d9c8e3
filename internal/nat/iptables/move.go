package iptables

import (
	"context"
	"errors"
	"slices"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// move is the first half of an Apply that only leads services elsewhere, as a
// switch does. It writes what the families lack by what the last Apply left
// there, before anything is read: a read takes as long as a write, and nobody
// else writes into our chains as a rule. Where somebody did, a write fails or
// was not all there is to write; the read that follows in any case shows it.
//
// It returns the families that were written to. The error is one that leaves no
// time for more.
func (b *Backend) move(ctx context.Context, want nat.Rules) (moved nat.Family, err error) {
	for _, t := range b.tools {
		l, err := newLayout(want, t.family)
		if err != nil {
			return moved, err
		}
		b.mu.Lock()
		last, known := b.last[t.family]
		b.mu.Unlock()
		if !known || !sameServices(last, l) {
			return moved, nil // IPv4 comes first, always
		}
		script := diff(last, l)
		if script == "" {
			continue
		}
		switch err := b.write(ctx, t, script); {
		case err == nil:
			moved |= t.family
			b.forget(t.family)
		case ctx.Err() != nil, errors.Is(err, ErrLockBusy):
			b.forget(t.family)
			return moved, err
		default:
			return moved, nil
		}
	}
	return moved, nil
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
