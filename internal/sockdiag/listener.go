package sockdiag

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
)

// Listener is one TCP listener.
type Listener struct {
	// Addr is what it is bound to: [::] and 0.0.0.0 are wildcards, a
	// mapped IPv4 address is given as IPv4, and a link-local one has its
	// interface index as zone, so that it can be dialled.
	Addr     netip.AddrPort
	V6Only   bool   // [::] serves no IPv4
	Device   uint32 // index of the interface it is bound to, 0 for all
	CgroupID uint64 // inode of the cgroup2 directory of the process that made it; 0 if the kernel does not say
	Inode    uint32
	UID      uint32
	Queue    uint32 // connections waiting to be accepted (idiag_rqueue)
	Backlog  uint32 // how many may wait (idiag_wqueue)
}

// Listeners returns all TCP listeners of this network namespace, sorted by port
// and address. Several may share one (SO_REUSEPORT).
func Listeners(ctx context.Context) ([]Listener, error) { return listeners(ctx, nil) }

// ListenersOn returns those on the given ports, sorted likewise; no ports, no
// listeners.
func ListenersOn(ctx context.Context, ports ...uint16) ([]Listener, error) {
	if len(ports) == 0 {
		return nil, nil
	}
	return listeners(ctx, newFilter(ports))
}

func listeners(ctx context.Context, f *filter) ([]Listener, error) {
	var all []Listener
	err := Consistently(func() error {
		all = all[:0]
		return scan(ctx, Set(Listen), f, func(m message) error {
			if m.state != Listen {
				return nil
			}
			l, err := m.listener()
			if err != nil {
				return err
			}
			all = append(all, l)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b Listener) int {
		return cmp.Or(
			cmp.Compare(a.Addr.Port(), b.Addr.Port()),
			a.Addr.Addr().Compare(b.Addr.Addr()),
			cmp.Compare(a.Inode, b.Inode),
		)
	})
	return all, nil
}
