package sockdiag

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	messageLen   = 72 // sizeof(struct inet_diag_msg)
	attrV6Only   = 11 // INET_DIAG_SKV6ONLY
	attrCgroupID = 21 // INET_DIAG_CGROUP_ID
)

// message is struct inet_diag_msg as the kernel sent it, checked for length and
// family, with its attributes undecoded.
type message struct {
	state State
	b     []byte
}

func parseMessage(b []byte) (message, error) {
	if len(b) < messageLen {
		return message{}, fmt.Errorf("sock_diag: message of %d bytes, want %d", len(b), messageLen)
	}
	if b[0] != unix.AF_INET && b[0] != unix.AF_INET6 {
		return message{}, fmt.Errorf("sock_diag: socket of address family %d", b[0])
	}
	return message{state: State(b[1]), b: b}, nil
}

func (m message) localPort() uint16 { return binary.BigEndian.Uint16(m.b[4:]) }
func (m message) device() uint32    { return binary.NativeEndian.Uint32(m.b[40:]) }
func (m message) rqueue() uint32    { return binary.NativeEndian.Uint32(m.b[56:]) }
func (m message) wqueue() uint32    { return binary.NativeEndian.Uint32(m.b[60:]) }
func (m message) uid() uint32       { return binary.NativeEndian.Uint32(m.b[64:]) }
func (m message) inode() uint32     { return binary.NativeEndian.Uint32(m.b[68:]) }

func (m message) local() netip.AddrPort {
	return netip.AddrPortFrom(m.addr(8), m.localPort())
}

func (m message) remote() netip.AddrPort {
	return netip.AddrPortFrom(m.addr(24), binary.BigEndian.Uint16(m.b[6:]))
}

func (m message) addr(at int) netip.Addr {
	if m.b[0] == unix.AF_INET {
		return netip.AddrFrom4([4]byte(m.b[at:]))
	}
	return netip.AddrFrom16([16]byte(m.b[at:])).Unmap()
}

func (m message) socket() Socket {
	return Socket{
		Local:   m.local(),
		Remote:  m.remote(),
		State:   m.state,
		Inode:   m.inode(),
		UID:     m.uid(),
		Unread:  m.rqueue(),
		Unacked: m.wqueue(),

		Retransmits: m.b[3],
	}
}

func (m message) listener() (Listener, error) {
	l := Listener{
		Addr:    m.local(),
		Device:  m.device(),
		Inode:   m.inode(),
		UID:     m.uid(),
		Queue:   m.rqueue(),
		Backlog: m.wqueue(),
	}
	if ip := l.Addr.Addr(); ip.Is6() && ip.IsLinkLocalUnicast() && l.Device != 0 {
		l.Addr = netip.AddrPortFrom(ip.WithZone(strconv.FormatUint(uint64(l.Device), 10)), l.Addr.Port())
	}
	ad, err := netlink.NewAttributeDecoder(m.b[messageLen:])
	if err != nil {
		return Listener{}, fmt.Errorf("sock_diag: listener %s: %w", l.Addr, err)
	}
	for ad.Next() {
		switch ad.Type() {
		case attrV6Only:
			l.V6Only = ad.Uint8() != 0
		case attrCgroupID:
			l.CgroupID = ad.Uint64()
		}
	}
	if err := ad.Err(); err != nil {
		return Listener{}, fmt.Errorf("sock_diag: listener %s: %w", l.Addr, err)
	}
	return l, nil
}
