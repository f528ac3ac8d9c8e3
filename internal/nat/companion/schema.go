package companion

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Name is the name of the daemon's table; its family is inet.
const Name = "switcheroo"

const (
	privateSet = "private"
	guardedSet = "guarded"
)

// afterDNAT is behind the nat hooks of iptables and nftables (dstnat, -100):
// there the packet carries its private port, and "ct status dnat" says that
// somebody redirected it. Conntrack still takes a timeout policy, because the
// connection is confirmed only after the last hook.
const afterDNAT = -90

// schema is what the table holds besides its ports.
func schema() layout {
	return layout{
		table: Name,
		timeouts: []timeout{
			{name: "redirected4", l3: unix.NFPROTO_IPV4, l4: unix.IPPROTO_TCP, seconds: redirected()},
			{name: "redirected6", l3: unix.NFPROTO_IPV6, l4: unix.IPPROTO_TCP, seconds: redirected()},
		},
		sets: []set{
			{name: guardedSet, keyType: typeInetService, keyLen: 2},
			{name: privateSet, keyType: typeInetService, keyLen: 2},
		},
		chains: []chain{
			{name: "guard", kind: "filter", hook: unix.NF_INET_LOCAL_IN, priority: 0, policy: accept, rules: []rule{
				{"not redirected", join(opening(), portIn(guardedSet), notLoopback(), ctStatus(expr.CmpOpEq, dnat), resetTCP())},
				// "ct status" matches nothing where conntrack has no entry.
				{"not tracked", join(opening(), portIn(guardedSet), notLoopback(), ctState(expr.CtStateBitINVALID|expr.CtStateBitUNTRACKED), resetTCP())},
			}},
			// The timeouts of connections from this host, then from outside.
			{name: "output", kind: "filter", hook: unix.NF_INET_LOCAL_OUT, priority: afterDNAT, policy: accept, rules: timeoutRules()},
			// One empty nat chain, at any hook, registers NAT at all four
			// hooks of both families; the "ct" expressions of the other
			// chains do the same for conntrack. Both count their users.
			{name: "pin", kind: "nat", hook: unix.NF_INET_LOCAL_IN, priority: 100, policy: accept},
			{name: "prerouting", kind: "filter", hook: unix.NF_INET_PRE_ROUTING, priority: afterDNAT, policy: accept, rules: timeoutRules()},
		},
	}
}

func timeoutRules() []rule {
	return []rule{
		{"", join(newConnection(), portIn(privateSet), ctStatus(expr.CmpOpNeq, dnat), family(unix.NFPROTO_IPV4), timeoutFrom("redirected4"))},
		{"", join(newConnection(), portIn(privateSet), ctStatus(expr.CmpOpNeq, dnat), family(unix.NFPROTO_IPV6), timeoutFrom("redirected6"))},
	}
}

// reg is the register that every expression here loads and compares.
const reg = unix.NFT_REG_1

func join(parts ...[]expr.Any) []expr.Any {
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// tcp flags & (fin|syn|rst|ack) == syn: what iptables calls --syn.
func opening() []expr.Any {
	const fin, syn, rst, ack = 0x01, 0x02, 0x04, 0x10
	return append(tcp(),
		&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 1, Mask: []byte{fin | syn | rst | ack}, Xor: []byte{0}},
		equal([]byte{syn}),
	)
}

// tcp dport @set, for packets known to be TCP.
func portIn(set string) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Lookup{SourceRegister: reg, SetName: set},
	}
}

// iif != lo, whose index is 1 in every namespace.
func notLoopback() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIF, Register: reg},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: native(1)},
	}
}

// dnat is IPS_DST_NAT of uapi/linux/netfilter/nf_conntrack_common.h.
const dnat = 1 << 5

// ct status & bits != 0, or == 0.
func ctStatus(op expr.CmpOp, bits uint32) []expr.Any { return ct(expr.CtKeySTATUS, op, bits) }

func ctState(bits uint32) []expr.Any { return ct(expr.CtKeySTATE, expr.CmpOpNeq, bits) }

// ct state new, of a TCP packet. It stands first, so that the packets of
// established connections leave the rule at once.
func newConnection() []expr.Any { return append(ctState(expr.CtStateBitNEW), tcp()...) }

func ct(key expr.CtKey, op expr.CmpOp, bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: reg},
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 4, Mask: native(bits), Xor: native(0)},
		&expr.Cmp{Op: op, Register: reg, Data: native(0)},
	}
}

func tcp() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg}, equal([]byte{unix.IPPROTO_TCP})}
}

func family(nfproto byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: reg}, equal([]byte{nfproto})}
}

func timeoutFrom(object string) []expr.Any {
	return []expr.Any{&expr.Objref{Type: unix.NFT_OBJECT_CT_TIMEOUT, Name: object}}
}

func resetTCP() []expr.Any { return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}} }

func equal(data []byte) *expr.Cmp { return &expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: data} }

func native(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
