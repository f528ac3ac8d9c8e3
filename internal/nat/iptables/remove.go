package iptables

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Remove implements nat.Backend: it clears both families and both variants, as
// far as it can, and then returns all errors there were. A table nat that
// iptables-nft made and nobody uses goes as well; those of the legacy variant
// stay, empty, until their modules are unloaded.
func (b *Backend) Remove(ctx context.Context) error {
	var errs []error
	for _, t := range slices.Concat(b.tools, b.others) {
		res, err := b.settle(ctx, t, nil)
		switch {
		case isUnavailable(err):
		case err != nil:
			errs = append(errs, err)
		case !res.left.empty():
			name := slices.Min(slices.Collect(maps.Keys(res.left.chains)))
			errs = append(errs, fmt.Errorf("remove %v rules: chain %s is left, empty, because somebody else's rule leads to it: %s",
				t.family, name, res.left.pinned[name]))
		case t.variant == NFT:
			// iptables made it for us, as it does for anybody who asks for it.
			if err := removeEmptyTable(ctx, t.family); err != nil {
				errs = append(errs, err)
			}
		}
	}
	b.stale = nil
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last, b.seen = map[nat.Family]snapshot{}, map[nat.Family]fingerprint{}
	return errors.Join(errs...)
}
