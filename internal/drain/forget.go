package drain

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/mdlayher/netlink"
	"github.com/switcheroo/switcheroo/internal/sockdiag"
	"golang.org/x/sys/unix"
)

// maxForget bounds the deletion of what a dump has found.
const maxForget = 5 * time.Second

// Forget deletes conntrack's entries of connections to this host that were led
// to the ports by no redirect, and returns how many there were. It is for a port
// that is public as well, when the server on it has no connection any more.
//
// Such an entry may outlive its connection for minutes, if the first rule found
// that in mid-stream: conntrack saw the end of it only in part. The next
// connection from the same source port would then be taken for the old one, and
// not be redirected. Nothing depends on these entries. An entry that translates
// is never deleted, and not by mistake either: it has another tuple.
func (m *Monitor) Forget(ctx context.Context, ports []uint16) (int, error) {
	if len(ports) == 0 {
		return 0, nil
	}
	found, err := readDirect(ctx, distinct(ports))
	if err == nil && len(found) > 0 {
		err = deleteEntries(ctx, found)
	}
	if err != nil {
		return 0, say(ctx, "forget conntrack entries of", ports, err)
	}
	return len(found), nil
}

// direct is an entry without translation.
type direct struct {
	family byte
	// answer is the tuple of the packets that the server sends, as it was read.
	answer []byte
}

// readDirect returns the untranslated entries of connections to the ports, which
// are sorted, at addresses of this host.
func readDirect(ctx context.Context, ports []uint16) ([]direct, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	own := make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own[p.Addr()] = true
		}
	}
	serves := func(a netip.AddrPort) bool {
		for _, port := range ports {
			if a.Port() == port {
				return own[a.Addr()] || a.Addr().IsLoopback()
			}
		}
		return false
	}
	var found []direct
	err = sockdiag.Consistently(func() error {
		found = nil
		err := sockdiag.Exchange(ctx, unix.NETLINK_NETFILTER, requestTable(unix.AF_UNSPEC), func(m netlink.Message) error {
			if answer := answerOf(m.Data, serves); answer != nil {
				// The message is valid until the next one is read.
				found = append(found, direct{m.Data[0], append([]byte(nil), answer...)})
			}
			return nil
		})
		if isRefused(err) {
			return nil // a kernel without conntrack
		}
		return err
	})
	return found, err
}

// answerOf returns the tuple of the answers of a TCP connection, encoded, if
// nothing about it is translated and serves accepts where they come from; nil
// otherwise. That is the reply tuple, or the original one of a connection of
// which conntrack saw an answer first.
func answerOf(b []byte, serves func(netip.AddrPort) bool) []byte {
	if len(b) < headerLen {
		return nil
	}
	b = b[headerLen:]
	if attribute(b, ctaZone) != nil { // not ours to judge
		return nil
	}
	forth, back := attribute(b, ctaTupleOrig), attribute(b, ctaTupleReply)
	from, to := parseTuple(forth)
	answers, asks := parseTuple(back)
	if !from.IsValid() || !to.IsValid() || from != asks || to != answers {
		return nil
	}
	switch {
	case serves(answers):
		return back
	case serves(from):
		return forth
	}
	return nil
}

// parseTuple decodes where packets of a TCP connection come from and go to, each
// invalid where it cannot be read.
func parseTuple(b []byte) (src, dst netip.AddrPort) {
	ip, proto := attribute(b, ctaTupleIP), attribute(b, ctaTupleProto)
	if num := attribute(proto, ctaProtoNum); len(num) != 1 || num[0] != unix.IPPROTO_TCP {
		return src, dst
	}
	from, to := attribute(ip, ctaIPv4Src), attribute(ip, ctaIPv4Dst)
	if from == nil {
		from, to = attribute(ip, ctaIPv6Src), attribute(ip, ctaIPv6Dst)
	}
	return addrPort(from, attribute(proto, ctaProtoSrcPort)), addrPort(to, attribute(proto, ctaProtoDstPort))
}

// addrPort is the zero value if one of its parts is none.
func addrPort(addr, port []byte) netip.AddrPort {
	a, ok := netip.AddrFromSlice(addr)
	if !ok || len(port) != 2 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(port))
}

// deleteEntries deletes the entries; one that is gone by now is no error.
func deleteEntries(ctx context.Context, all []direct) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(maxForget)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for _, d := range all {
		_, err := conn.Execute(requestDelete(d))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("delete: %w", err)
		}
	}
	return nil
}

// requestDelete encodes the deletion of an entry. The kernel finds it by either
// of its tuples, whichever is said to be the original one.
func requestDelete(d direct) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: messageDelete, Flags: netlink.Request | netlink.Acknowledge},
		Data:   append([]byte{d.family, 0, 0, 0}, nest(ctaTupleOrig, d.answer)...),
	}
}
