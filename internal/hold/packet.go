package hold

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// flow is the two ends of a connection.
type flow struct {
	from, to netip.AddrPort
}

// copied is how much of a packet is asked for: the IP header, with room for
// extensions, and the ports.
const copied = 128

// parseFlow reads the head of an IP packet. ok is false for what is no first
// fragment of TCP.
func parseFlow(b []byte) (f flow, ok bool) {
	if len(b) == 0 {
		return flow{}, false
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b)
	case 6:
		return parseIPv6(b)
	}
	return flow{}, false
}

func parseIPv4(b []byte) (flow, bool) {
	const least = 20
	if len(b) < least || b[9] != unix.IPPROTO_TCP {
		return flow{}, false
	}
	length := int(b[0]&0xf) * 4
	const offsetMask = 0x1fff
	if length < least || binary.BigEndian.Uint16(b[6:])&offsetMask != 0 {
		return flow{}, false
	}
	return ports(b[min(length, len(b)):], netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:])))
}

func parseIPv6(b []byte) (flow, bool) {
	const length = 40
	if len(b) < length {
		return flow{}, false
	}
	next, rest := b[6], b[length:]
	for {
		switch next {
		case unix.IPPROTO_TCP:
			return ports(rest, netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])))
		case unix.IPPROTO_HOPOPTS, unix.IPPROTO_ROUTING, unix.IPPROTO_DSTOPTS:
			if len(rest) < 8 {
				return flow{}, false
			}
			n := 8 + int(rest[1])*8
			if len(rest) < n {
				return flow{}, false
			}
			next, rest = rest[0], rest[n:]
		default:
			return flow{}, false
		}
	}
}

// ports completes a flow from the head of its TCP segment.
func ports(segment []byte, from, to netip.Addr) (flow, bool) {
	if len(segment) < 4 {
		return flow{}, false
	}
	return flow{
		from: netip.AddrPortFrom(from, binary.BigEndian.Uint16(segment)),
		to:   netip.AddrPortFrom(to, binary.BigEndian.Uint16(segment[2:])),
	}, true
}
