package iptables

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// load is what a rule of nftables has loaded into a register.
type load struct {
	size int // of the value, in bytes
	// in reports whether the value lies between low and high, both included,
	// each of size bytes.
	in func(p packet, low, high []byte) truth
	// masked is the load after a bitwise AND; nil if that tells us nothing.
	masked func(mask []byte) load
	// byOrigin: it says how the connection was before it was redirected.
	byOrigin bool
}

// unknown is a load that tells us nothing.
var unknown = load{in: func(packet, []byte, []byte) truth { return maybe }}

// known is a load of which we know the value.
func known(size int, value func(packet) []byte) load {
	return load{
		size: size,
		in: func(p packet, low, high []byte) truth {
			v := value(p)
			return truthOf(bytes.Compare(low, v) <= 0 && bytes.Compare(v, high) <= 0)
		},
		masked: func(mask []byte) load {
			return known(size, func(p packet) []byte {
				v := bytes.Clone(value(p))
				for i := range v {
					v[i] &= mask[i]
				}
				return v
			})
		},
	}
}

func constant(value ...byte) load {
	return known(len(value), func(packet) []byte { return value })
}

func host32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func net16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

func loadMeta(e *expr.Meta) load {
	switch e.Key {
	case expr.MetaKeyL4PROTO:
		return constant(unix.IPPROTO_TCP)
	case expr.MetaKeyNFPROTO:
		return known(1, func(p packet) []byte {
			if p.family == nat.IPv6 {
				return []byte{unix.NFPROTO_IPV6}
			}
			return []byte{unix.NFPROTO_IPV4}
		})
	case expr.MetaKeyIIFNAME:
		return loadInterface(append([]byte("lo"), make([]byte, unix.IFNAMSIZ-2)...))
	case expr.MetaKeyIIF:
		return loadInterface(host32(1)) // lo is the first of every namespace
	}
	return unknown
}

// loadInterface is where the packet came in; we know only whether that was lo.
func loadInterface(lo []byte) load {
	return load{size: len(lo), in: func(p packet, low, high []byte) truth {
		isLo := bytes.Compare(low, lo) <= 0 && bytes.Compare(lo, high) <= 0
		switch {
		case p.lo:
			return truthOf(isLo)
		case isLo && bytes.Equal(low, high):
			return no
		}
		return likely
	}}
}

// Offsets in the headers.
const (
	ip4Protocol, ip4Dst = 9, 16
	ip6Next, ip6Dst     = 6, 24
	tcpDport, tcpFlags  = 2, 13
	flagSYN             = 0x02
)

func loadPayload(e *expr.Payload) load {
	size := int(e.Len)
	switch {
	case e.Base == expr.PayloadBaseTransportHeader && e.Offset == tcpDport && size == 2:
		return known(2, func(p packet) []byte { return net16(p.port) })
	case e.Base == expr.PayloadBaseTransportHeader && e.Offset == tcpFlags && size == 1:
		return constant(flagSYN)
	case e.Base == expr.PayloadBaseNetworkHeader && size == 1 && (e.Offset == ip4Protocol || e.Offset == ip6Next):
		return constant(unix.IPPROTO_TCP)
	case e.Base == expr.PayloadBaseNetworkHeader && e.Offset == ip4Dst && size <= 4:
		return loadDst(nat.IPv4, size, 8*size)
	case e.Base == expr.PayloadBaseNetworkHeader && e.Offset == ip6Dst && size <= 16:
		return loadDst(nat.IPv6, size, 8*size)
	}
	return unknown
}

// loadDst is the address dialled: its first bits, in size bytes.
func loadDst(family nat.Family, size, bits int) load {
	within := func(a netip.Addr, low, high []byte) bool {
		prefix, err := a.Prefix(bits)
		if err != nil {
			return false // of the other family
		}
		v := prefix.Addr().AsSlice()[:size]
		return bytes.Compare(low, v) <= 0 && bytes.Compare(v, high) <= 0
	}
	return load{
		size: size,
		in: func(p packet, low, high []byte) truth {
			if p.family != family {
				return no
			}
			if p.dst.IsValid() {
				return truthOf(within(p.dst, low, high))
			}
			for _, a := range p.local {
				if a.Is4() == (family == nat.IPv4) && within(a, low, high) {
					return likely
				}
			}
			return no
		},
		masked: func(mask []byte) load {
			n, ok := maskBits(mask)
			if !ok {
				return unknown
			}
			return loadDst(family, size, min(bits, n))
		},
	}
}

// maskBits returns the length of a mask that is a prefix.
func maskBits(mask []byte) (int, bool) {
	n := 0
	for n < 8*len(mask) && mask[n/8]&(0x80>>(n%8)) != 0 {
		n++
	}
	for i := n; i < 8*len(mask); i++ {
		if mask[i/8]&(0x80>>(i%8)) != 0 {
			return 0, false
		}
	}
	return n, true
}

// statusDNAT is IPS_DST_NAT of the kernel's nf_conntrack_common.h.
const statusDNAT = 1 << 5

func loadCt(e *expr.Ct) load {
	const original, reply = 0, 1
	switch {
	case e.Key == expr.CtKeySTATE:
		return known(4, func(packet) []byte { return host32(expr.CtStateBitNEW) })
	case e.Key == expr.CtKeyDIRECTION:
		return constant(original)
	case e.Key == expr.CtKeySTATUS:
		// Its other bits are not settled when the first packet comes in.
		status := unknown
		status.size = 4
		status.masked = func(mask []byte) load {
			if binary.NativeEndian.Uint32(mask) != statusDNAT {
				return unknown
			}
			l := known(4, func(p packet) []byte {
				if p.orig == 0 {
					return host32(0)
				}
				return host32(statusDNAT)
			})
			l.byOrigin = true
			return l
		}
		return status
	case e.Key == expr.CtKeyPROTODST && e.Direction == original:
		l := known(2, func(p packet) []byte { return net16(p.dialled()) })
		l.byOrigin = true
		return l
	case e.Key == expr.CtKeyPROTOSRC && e.Direction == reply:
		return known(2, func(p packet) []byte { return net16(p.port) })
	}
	return unknown
}

func loadFib(e *expr.Fib) load {
	if e.ResultADDRTYPE && e.FlagDADDR {
		return known(4, func(packet) []byte { return host32(unix.RTN_LOCAL) })
	}
	return unknown
}
