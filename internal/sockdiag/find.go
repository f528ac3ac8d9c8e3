package sockdiag

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Find looks up the one connection between local and remote, in constant time,
// and whether there is one. IPv4 addresses find it whatever family its
// socket has; a zone is an interface's name or index.
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
		device, err := interfaceIndex(zone)
		if err != nil {
			return Socket{}, false, err
		}
		req.device = device
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

func interfaceIndex(zone string) (uint32, error) {
	if index, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(index), nil
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("zone %q: %w", zone, err)
	}
	return uint32(i.Index), nil
}
