package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// dial connects to what a listener is bound to; a wildcard is reached over
// loopback.
func dial(ctx context.Context, addr netip.AddrPort) (*net.TCPConn, error) {
	var err error
	for _, a := range reachable(addr) {
		// Keep-alive would be set up for nothing.
		d := net.Dialer{KeepAlive: -1}
		var c net.Conn
		if c, err = d.DialContext(ctx, "tcp", a.String()); err == nil {
			return c.(*net.TCPConn), nil
		}
		if !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENETUNREACH) {
			break
		}
	}
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return nil, fmt.Errorf("%w: is its backlog full, or does a firewall drop it?", err)
	}
	return nil, err
}

// reachable returns the addresses to try for a listener on addr. Where loopback
// has no ::1 (net.ipv6.conf.lo.disable_ipv6), [::] still serves IPv4.
func reachable(addr netip.AddrPort) []netip.AddrPort {
	v4 := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port())
	switch addr.Addr() {
	case netip.IPv4Unspecified():
		return []netip.AddrPort{v4}
	case netip.IPv6Unspecified():
		return []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Loopback(), addr.Port()), v4}
	}
	return []netip.AddrPort{addr}
}

const (
	// grace is how long a server may take to answer the end of our half of a
	// connection with its own.
	grace = 20 * time.Millisecond
	// maxDiscarded is how much it may say meanwhile.
	maxDiscarded = 64 << 10
)

// leave closes the connection without a reset, which is what the server would
// get if anything that it said were left unread: a greeting, for instance.
func leave(c *net.TCPConn) {
	defer c.Close()
	if c.CloseWrite() != nil {
		return
	}
	c.SetReadDeadline(time.Now().Add(grace))
	io.Copy(io.Discard, io.LimitReader(c, maxDiscarded))
}
