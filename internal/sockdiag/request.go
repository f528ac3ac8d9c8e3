package sockdiag

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	requestLen   = 56 // sizeof(struct inet_diag_req_v2)
	anyLen       = 60 // sizeof(struct inet_diag_req)
	anyType      = 18 // TCPDIAG_GETSOCK
	attrBytecode = 1  // INET_DIAG_REQ_BYTECODE
)

// request is struct inet_diag_req_v2.
type request struct {
	family byte
	extra  byte // attributes asked for: a bit each, 1<<(INET_DIAG_x-1)
	states States
	// local and remote are struct inet_diag_sockid; a dump compares the
	// local port only.
	local, remote netip.AddrPort
	device        uint32
}

// message encodes the request. The cookie, all ones, stands for any.
func (r request) message(flags netlink.HeaderFlags, bytecode []byte) (netlink.Message, error) {
	b := make([]byte, requestLen)
	b[0] = r.family
	b[1] = unix.IPPROTO_TCP
	b[2] = r.extra
	binary.NativeEndian.PutUint32(b[4:], uint32(r.states))
	binary.BigEndian.PutUint16(b[8:], r.local.Port())
	binary.BigEndian.PutUint16(b[10:], r.remote.Port())
	copy(b[12:28], r.local.Addr().AsSlice())
	copy(b[28:44], r.remote.Addr().AsSlice())
	binary.NativeEndian.PutUint32(b[44:], r.device)
	binary.NativeEndian.PutUint64(b[48:], ^uint64(0))
	return finish(unix.SOCK_DIAG_BY_FAMILY, flags, b, bytecode)
}

// ofAnyFamily encodes the older form of the request, struct inet_diag_req, whose
// dumps show both families in one walk of the kernel's table: half the time.
// The family and the addresses have no meaning in it.
func (r request) ofAnyFamily(flags netlink.HeaderFlags, bytecode []byte) (netlink.Message, error) {
	b := make([]byte, anyLen)
	b[0] = unix.AF_INET // of no effect in a dump
	b[3] = r.extra
	binary.BigEndian.PutUint16(b[4:], r.local.Port())
	binary.NativeEndian.PutUint64(b[44:], ^uint64(0))
	binary.NativeEndian.PutUint32(b[52:], uint32(r.states))
	return finish(anyType, flags, b, bytecode)
}

// finish appends the program and makes a message of it.
func finish(kind netlink.HeaderType, flags netlink.HeaderFlags, b, bytecode []byte) (netlink.Message, error) {
	if len(bytecode) > 0 {
		attr, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: attrBytecode, Data: bytecode}})
		if err != nil {
			return netlink.Message{}, err
		}
		b = append(b, attr...)
	}
	return netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request | flags},
		Data:   b,
	}, nil
}
