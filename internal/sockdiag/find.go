package sockdiag

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Find looks up the one connection between local and remote, in constant time,
// and whether there is one. IPv4 addresses find it whatever family its
// socket has. A zone must be an interface index or be empty.
func Find(ctx context.Context, local, remote netip.AddrPort) (Socket, bool, error) {
	local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	s, ok, err := find(ctx, local, remote)
	if err != nil {
		return Socket{}, false, fmt.Errorf("find socket %s of %s: %w", local, remote, err)
	}
	return s, ok, nil
}

func find(ctx context.Context, local, remote netip.AddrPort) (Socket, bool, error) {
	req := request{family: unix.AF_INET, states: ^States(0), local: local, remote: remote}
	if local.Addr().Is6() {
		req.family = unix.AF_INET6
	}
	if zone := local.Addr().Zone(); zone != "" {
		device, err := strconv.ParseUint(zone, 10, 32)
		if err != nil {
			return Socket{}, false, fmt.Errorf("zone %q is no interface index", zone)
		}
		req.device = uint32(device)
	}
	msg, err := req.message(0, nil)
	if err != nil {
		return Socket{}, false, err
	}
	var (
		s  Socket
		ok bool
	)
	err = Exchange(ctx, unix.NETLINK_SOCK_DIAG, msg, func(reply netlink.Message) error {
		m, err := parseMessage(reply.Data)
		if err != nil {
			return err
		}
		// Without such a connection the kernel answers with the listener
		// that would take it.
		s, ok = m.socket(), m.state != Listen
		return nil
	})
	if errors.Is(err, unix.ENOENT) {
		return Socket{}, false, nil
	}
	if err != nil || !ok {
		return Socket{}, false, err
	}
	return s, true, nil
}
