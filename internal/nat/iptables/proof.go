package iptables

import (
	"context"
	"maps"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// A read of the rules takes as long as a write, and both take processor time from
// the servers of the host at the very moment of a switch. So a move of nftables'
// rules is not read back if the kernel's count of commits proves that there can
// be nothing else: nobody but this process has committed anything since the rules
// were known, and its own commits were carried out, which are all or nothing.
// x_tables counts nothing.

// proof is what there was before a move.
type proof struct {
	at    generation
	known []*tool // whose rules are known at it
	have  map[nat.Family]snapshot
}

// proof looks before the first write.
func (b *Backend) proof(ctx context.Context) (p proof) {
	if b.variant != NFT {
		return p
	}
	var err error
	if p.at, err = currentGeneration(ctx); err != nil {
		return p
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p.have = map[nat.Family]snapshot{}
	for _, t := range b.tools {
		// What is written goes by last, so that must be what is known.
		if last, applied := b.last[t.family]; applied && t.knows(p.at) && t.known.equal(last) {
			p.known = append(p.known, t)
			p.have[t.family] = *t.known
		}
	}
	return p
}

// prove returns the families that are proven to be as wanted after so many
// writes; what they hold is known then.
func (b *Backend) prove(ctx context.Context, p proof, want map[nat.Family]layout, writes int) (proven nat.Family) {
	if len(p.known) == 0 {
		return 0
	}
	now, err := currentGeneration(ctx)
	if err != nil || now != p.at+generation(writes) {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range p.known {
		l, moved := want[t.family]
		if !moved {
			continue
		}
		if left, ok := p.have[t.family].after(l); ok {
			t.learn(left, now, t.own())
			b.last[t.family] = left
			proven |= t.family
		}
	}
	return proven
}

// after returns what a snapshot becomes by the script of diff, if that is all
// that it takes to be as wanted, and concerns none but our own chains.
func (s snapshot) after(want layout) (snapshot, bool) {
	if len(s.pinned) > 0 {
		return snapshot{}, false
	}
	left := snapshot{chains: map[string][]rule{}, hooks: s.hooks, pinned: s.pinned}
	for _, b := range bases {
		if _, stays := s.chains[b.name]; stays {
			left.chains[b.name] = nil
		}
	}
	maps.Copy(left.chains, want)
	return left, diff(left, want) == ""
}
