package iptables

import (
	"context"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// lookEvery is how often Watch looks at a legacy table: the longest that rules
// which another program flushed stay away.
const lookEvery = 2 * time.Second

// Watch calls changed whenever a look at the kernel shows that another program
// has changed table nat since the last Apply, until the next Apply has looked
// into it. That is a hint: the change may be none of our rules. Watch returns
// nil when ctx ends, and must run in the network namespace of the rules.
//
// Only the legacy variant needs to be looked at, every 2 s, which takes two
// system calls. Changes to the nft variant are told by the kernel, to whoever
// listens to nftables notifications; there Watch does nothing.
func (b *Backend) Watch(ctx context.Context, changed func()) error {
	if b.variant != Legacy {
		<-ctx.Done()
		return nil
	}
	eyes := map[nat.Family]*eye{} // opened when they are first needed
	defer func() {
		for _, e := range eyes {
			e.close()
		}
	}()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			altered, err := b.altered(eyes)
			if err != nil {
				return err
			}
			if altered {
				changed()
			}
		}
	}
}

func (b *Backend) altered(eyes map[nat.Family]*eye) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, family := range []nat.Family{nat.IPv4, nat.IPv6} {
		seen, applied := b.seen[family]
		if !applied {
			continue
		}
		now, err := lookAgain(family, seen, eyes)
		if err != nil {
			return false, err
		}
		if now != seen {
			return true, nil
		}
	}
	return false, nil
}

// lookAgain looks at a table that was as seen when it was last looked at.
func lookAgain(family nat.Family, seen fingerprint, eyes map[nat.Family]*eye) (fingerprint, error) {
	if seen == (fingerprint{}) {
		return fingerprintOf(family) // an eye would load it
	}
	if eyes[family] == nil {
		e, err := openEye(family)
		if err != nil {
			return fingerprint{}, err
		}
		eyes[family] = e
	}
	return eyes[family].look()
}
