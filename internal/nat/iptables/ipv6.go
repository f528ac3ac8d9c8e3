package iptables

import (
	"context"
	"fmt"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Families returns what Apply can write: IPv4, or both. Apply leaves the IPv6
// half of a target aside where there is IPv4 alone, and refuses a target that
// has no other half, so the caller asks here before it wants one.
//
// Whether the legacy variant has IPv6 shows only when its table is first
// needed, as even to look would load it. So the answer may go from both to IPv4
// with an Apply; it never grows. It may be called at any time.
func (b *Backend) Families() nat.Family {
	b.mu.Lock()
	defer b.mu.Unlock()
	var families nat.Family
	for _, t := range b.tools {
		families |= t.family
	}
	return families
}

// settleFamilies finds out, before anything is written, whether want can be: one
// target of IPv6 alone must not make an error of what IPv4 already has.
func (b *Backend) settleFamilies(ctx context.Context, want nat.Rules) error {
	if len(b.tools) == 2 && servesIPv6(want) {
		err := b.tools[1].load(ctx)
		if err != nil && !isUnavailable(err) {
			return err
		}
		if err != nil {
			b.tools[1].ahead.close()
			b.withoutIPv6(err)
		}
	}
	if len(b.tools) == 2 {
		return nil
	}
	for _, rd := range want.Redirects {
		for _, t := range rd.Targets {
			if t.Serves() == nat.IPv6 {
				return fmt.Errorf("redirect of %q: endpoint %v needs IPv6, which this host does not have: %w",
					rd.Service, t.Endpoint, b.noIPv6)
			}
		}
	}
	return nil
}

func (b *Backend) withoutIPv6(why error) {
	b.log.Warn("IPv6 is not available, serving IPv4 only", "err", why)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tools, b.noIPv6 = b.tools[:1], why
}

func servesIPv6(want nat.Rules) bool {
	for _, rd := range want.Redirects {
		for _, t := range rd.Targets {
			if t.Serves()&nat.IPv6 != 0 {
				return true
			}
		}
	}
	return false
}

// load makes the kernel load table nat of the legacy variant, if it has one: to
// list it is enough. nft has both families or none, and tells with the first
// read.
func (t *tool) load(ctx context.Context) error {
	if t.variant != Legacy || legacyTable(t.family, "nat") {
		return nil
	}
	_, err := t.readTable(ctx)
	return err
}
