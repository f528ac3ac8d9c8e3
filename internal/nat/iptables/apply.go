package iptables

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// maxWrites bounds how often one Apply writes to a family. One write does,
// unless another program changes the table between our read and our write.
const maxWrites = 3

// Apply implements nat.Backend. IPv4 comes first; an error of IPv6 leaves IPv4
// as wanted. What Families does not cover is refused before anything is
// written, or left aside if the target is served over IPv4 as well. A
// *CommandError, possibly ErrLockBusy, is in the chain of errors where a command
// is to blame.
func (b *Backend) Apply(ctx context.Context, want nat.Rules) (nat.Change, error) {
	var total nat.Change
	if err := want.Validate(); err != nil {
		return total, err
	}
	if err := b.settleFamilies(ctx, want); err != nil {
		return total, err
	}
	moved, proven, err := b.move(ctx, want)
	if err != nil {
		return nat.Change{Changed: moved != 0}, err
	}
	total.Changed = moved != 0
	for _, t := range b.tools {
		if proven&t.family != 0 {
			continue
		}
		change, err := b.apply(ctx, t, want, moved&t.family != 0)
		total.Changed = total.Changed || change.Changed
		total.Repaired = total.Repaired || change.Repaired
		if err != nil {
			return total, err
		}
	}
	// The old rules of the other variant go last, so that a connection always
	// meets one of the two.
	for len(b.stale) > 0 {
		if _, err := b.settle(ctx, b.stale[0], nil); err != nil {
			return total, fmt.Errorf("remove the rules of %v: %w", b.stale[0].variant, err)
		}
		b.log.Info("rules of the other iptables removed", "variant", b.stale[0].variant.String(), "family", b.stale[0].family.String())
		b.stale = b.stale[1:]
		total.Changed = true
	}
	return total, nil
}

func isUnavailable(err error) bool {
	var cmdErr *CommandError
	return errors.As(err, &cmdErr) && cmdErr.unavailable()
}

// apply makes one family equal want, which it should already if moved is set.
func (b *Backend) apply(ctx context.Context, t *tool, want nat.Rules, moved bool) (nat.Change, error) {
	l, err := newLayout(want, t.family)
	if err != nil {
		return nat.Change{}, err
	}
	res, err := b.settle(ctx, t, l)
	b.mu.Lock()
	defer b.mu.Unlock()
	last, known := b.last[t.family]
	change := nat.Change{
		Changed:  moved || res.writes > 0,
		Repaired: res.writes > 0 && (moved || known && !res.found.equal(last)),
	}
	if err != nil {
		return change, err
	}
	b.last[t.family], b.seen[t.family] = res.left, res.print
	for chain, rule := range res.left.pinned {
		if _, wanted := l[chain]; change.Changed && !wanted && len(res.left.chains[chain]) == 0 {
			b.log.Warn("an old chain stays, empty: somebody else's rule leads to it", "chain", chain, "rule", rule)
		}
	}
	return change, nil
}

// settlement is what settle met and did.
type settlement struct {
	found  snapshot // before the first write
	left   snapshot // after the last one
	print  fingerprint
	writes int
}

// settle reads, and writes what is missing, until a read shows want; nil stands
// for no rules at all. Reading again is what proves a write.
func (b *Backend) settle(ctx context.Context, t *tool, want layout) (settlement, error) {
	var res settlement
	var lastErr error
	for round := 0; ; round++ {
		have, seen, err := t.readSeen(ctx)
		if err != nil {
			return res, err
		}
		res.print = seen
		if round == 0 {
			res.found = have
		}
		res.left = have
		script := diff(have, want)
		if script == "" {
			return res, nil
		}
		if round == maxWrites {
			if lastErr == nil {
				lastErr = fmt.Errorf("write %v rules: the kernel still differs: %s", t.family, oneLine(script))
			}
			return res, lastErr
		}
		lastErr = b.write(ctx, t, script)
		switch {
		case lastErr == nil:
			res.writes++
		case ctx.Err() != nil, errors.Is(lastErr, ErrLockBusy), isUnavailable(lastErr):
			return res, lastErr
		}
	}
}

func (b *Backend) write(ctx context.Context, t *tool, script string) error {
	began := time.Now()
	ahead, err := t.write(ctx, script)
	if err == nil && t.variant == NFT {
		b.written++
	}
	b.log.Debug("write rules", "family", t.family.String(), "took", time.Since(began).Round(10*time.Microsecond), "ahead", ahead, "script", script)
	return err
}

// oneLine shows the beginning of a script in an error.
func oneLine(script string) string {
	lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(script, "*nat\n"), "COMMIT\n"), "\n")
	lines = lines[:len(lines)-1]
	const most = 3
	if len(lines) > most {
		return fmt.Sprintf("%s; and %d more", strings.Join(lines[:most], "; "), len(lines)-most)
	}
	return strings.Join(lines, "; ")
}
