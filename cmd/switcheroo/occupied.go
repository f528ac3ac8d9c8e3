package main

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// hasListener says whether a program listens on a public endpoint itself. It
// tries to bind, and does not listen, so that no client meets it.
func hasListener(endpoint string) bool {
	port := strings.TrimPrefix(endpoint, ":")
	addr := netip.IPv6Unspecified() // of both families
	if ap, err := netip.ParseAddrPort(endpoint); err == nil {
		addr, port = ap.Addr(), strconv.Itoa(int(ap.Port()))
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return false // that is said elsewhere
	}
	for _, at := range []netip.Addr{addr, netip.IPv4Unspecified()} {
		if errors.Is(bind(netip.AddrPortFrom(at, uint16(n))), unix.EADDRINUSE) {
			return true
		}
		if addr != netip.IPv6Unspecified() {
			break
		}
	}
	return false
}

func bind(at netip.AddrPort) error {
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// Connections that have ended a moment ago are no listener.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	return unix.Bind(fd, to)
}
