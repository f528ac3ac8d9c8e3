package drain

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// entry is what matters of a conntrack entry.
type entry struct {
	tcp   bool
	port  uint16 // source of the reply tuple, where the server's answers come from
	state uint8
}

// Those TCP states of conntrack that matter, from enum tcp_conntrack of
// linux/netfilter/nf_conntrack_tcp.h.
const (
	ctSynSent     = 1
	ctSynRecv     = 2
	ctEstablished = 3
	ctClose       = 8
)

// leads reports whether the entry could lead packets to a server that has no
// socket for them yet: the SYN that was dropped and will be repeated (SYN_SENT),
// a handshake by SYN cookie (SYN_RECV, ESTABLISHED), or the next connection
// from a source port whose last one was reset (CLOSE). In the other states a
// connection has a socket, or a new SYN replaces the entry.
func (e entry) leads() bool {
	switch e.state {
	case ctSynSent, ctSynRecv, ctEstablished, ctClose:
		return true
	}
	return false
}

// parseEntry decodes a message of a dump. What is not TCP, or has no TCP state,
// gives an entry that leads nowhere.
func parseEntry(b []byte) (entry, error) {
	if len(b) < headerLen {
		return entry{}, fmt.Errorf("conntrack: message of %d bytes", len(b))
	}
	b = b[headerLen:]
	proto := attribute(attribute(b, ctaTupleReply), ctaTupleProto)
	var e entry
	if num := attribute(proto, ctaProtoNum); len(num) != 1 || num[0] != unix.IPPROTO_TCP {
		return e, nil
	}
	e.tcp = true
	port := attribute(proto, ctaProtoSrcPort)
	if len(port) != 2 {
		return entry{}, fmt.Errorf("conntrack: TCP entry without a reply source port")
	}
	e.port = binary.BigEndian.Uint16(port)
	if state := attribute(attribute(attribute(b, ctaProtoInfo), ctaProtoInfoTCP), ctaProtoInfoTCPState); len(state) == 1 {
		e.state = state[0]
	}
	return e, nil
}

// attribute returns the payload of the first netlink attribute of the type, nil
// if there is none before the end or the first malformed one. A table may have
// hundreds of thousands of entries, so this allocates nothing.
func attribute(b []byte, want uint16) []byte {
	const (
		header = 4
		flags  = unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER
	)
	for len(b) >= header {
		length := int(binary.NativeEndian.Uint16(b))
		if length < header || length > len(b) {
			return nil
		}
		if binary.NativeEndian.Uint16(b[2:])&^flags == want {
			return b[header:length]
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	return nil
}
