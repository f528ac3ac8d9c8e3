package iptables

import (
	"encoding/binary"
	"strings"
)

// match reads a match into r. place is where it stands among those of a rule of
// ours. Not ok: we never write it, or not so.
func (r *rule) match(m xpart) (place int, ok bool) {
	switch name := string(m.name); {
	case name == "tcp" && m.revision == 0:
		return 1, r.matchTCP(m.data)
	case name == "addrtype" && m.revision == 1:
		return 2, r.matchAddrType(m.data)
	case name == "comment" && m.revision == 0:
		return 3, r.matchComment(m.data)
	}
	return 0, false
}

// matchTCP is struct xt_tcp of linux/netfilter/xt_tcpudp.h: u16 spts[2],
// dpts[2]; u8 option, flg_mask, flg_cmp, invflags. The u16 are in host order.
func (r *rule) matchTCP(data []byte) bool {
	if len(data) != 16 || host16(data) != 0 || host16(data[2:]) != 0xffff || data[8] != 0 || data[11] != 0 {
		return false
	}
	switch low, high := host16(data[4:]), host16(data[6:]); {
	case low == 0 && high == 0xffff:
	case low == high && low != 0:
		r.dport = low
	default:
		return false
	}
	const finSynRstAck, syn = 0x17, 0x02
	switch mask, cmp := data[9], data[10]; {
	case mask == 0 && cmp == 0:
	case mask == finSynRstAck && cmp == syn:
		r.opening = true
	default:
		return false
	}
	return r.dport != 0 || r.opening
}

// matchAddrType is struct xt_addrtype_info_v1 of linux/netfilter/xt_addrtype.h:
// u16 source, dest; u32 flags.
func (r *rule) matchAddrType(data []byte) bool {
	const local = 1 << 2 // XT_ADDRTYPE_LOCAL
	r.local = len(data) == 8 && host16(data) == 0 && host16(data[2:]) == local && allZero(data[4:])
	return r.local
}

// matchComment is struct xt_comment_info of linux/netfilter/xt_comment.h: char
// comment[256].
func (r *rule) matchComment(data []byte) bool {
	if len(data) != 256 {
		return false
	}
	text, terminated := cString(data)
	r.comment = string(text)
	// What else there may be, we never write, and a line of text may not hold.
	odd := strings.IndexFunc(r.comment, func(c rune) bool { return c < ' ' || c > '~' }) >= 0
	return terminated && r.comment != "" && !odd
}

// toPort returns the port of a target DNAT --to-destination :PORT, 0 if the
// target is another one. Revision 2, the newest, is struct nf_nat_range2 of
// linux/netfilter/nf_nat.h: u32 flags; 16 bytes min_addr, max_addr; be16
// min_proto, max_proto, base_proto. An iptables that writes it cannot show the
// others, and one that writes those is asked for what they say.
func (e xentry) toPort() uint16 {
	const portGiven = 1 << 1 // NF_NAT_RANGE_PROTO_SPECIFIED
	d := e.target.data
	if string(e.target.name) != "DNAT" || e.target.revision != 2 || len(d) != 48 {
		return 0
	}
	low, high := binary.BigEndian.Uint16(d[36:]), binary.BigEndian.Uint16(d[38:])
	if binary.NativeEndian.Uint32(d) != portGiven || !allZero(d[4:36]) || low != high || !allZero(d[40:42]) {
		return 0
	}
	return low
}
