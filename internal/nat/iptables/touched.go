package iptables

import "context"

// account is how many transactions nftables has committed, and how many of them
// are this process's.
type account struct {
	at  generation
	own uint32
}

// Touched reports whether anybody but this process may have changed nftables'
// rules since it was last asked, or since New. It costs one netlink message: the
// kernel counts all commits, and this process its own. It sees nothing of changes
// to x_tables.
func (b *Backend) Touched(ctx context.Context) bool {
	last := b.accounted
	b.accounted = nil
	now, err := currentGeneration(ctx)
	if err != nil {
		return true
	}
	b.accounted = &account{now, b.commits()}
	return last == nil || now != last.at+generation(b.accounted.own-last.own)
}
