package iptables

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// xentry is one rule of a legacy table as the kernel hands it out: a header
// with what it matches itself, then its matches, then its target.
type xentry struct {
	form    *xform
	offset  int // in the table
	header  []byte
	matches []byte
	target  xpart
	next    int // the offset of the next one
}

// xform is where a family's struct has its fields. Both begin with source,
// destination, their masks, and 64 bytes of interfaces; both end with struct
// xt_counters, and the next thing begins at a multiple of 8 bytes.
type xform struct {
	addr         int // the size of an address
	proto        int // u16
	flags        int // u8, and others up to flagsEnd, which we never set
	flagsEnd     int
	targetOffset int // u16
	nextOffset   int // u16
	size         int
	// withProto is what the flags are with -p, and nothing more.
	withProto []byte
}

var (
	// struct ipt_entry, linux/netfilter_ipv4/ip_tables.h: flags, invflags.
	xform4 = xform{
		addr: 4, proto: 80, flags: 82, flagsEnd: 84, targetOffset: 88, nextOffset: 90, size: 112,
		withProto: []byte{0, 0},
	}
	// struct ip6t_entry, linux/netfilter_ipv6/ip6_tables.h: tos, flags (with
	// IP6T_F_PROTO), invflags.
	xform6 = xform{
		addr: 16, proto: 128, flags: 130, flagsEnd: 133, targetOffset: 140, nextOffset: 142, size: 168,
		withProto: []byte{0, 0x01, 0},
	}
)

func formOf(family nat.Family) *xform {
	if family == nat.IPv6 {
		return &xform6
	}
	return &xform4
}

// xpart is a match or a target: struct xt_entry_match, struct xt_entry_target
// of linux/netfilter/x_tables.h, with a u16 size of all, char name[29], a u8
// revision, and its data.
type xpart struct {
	name     []byte
	revision byte
	data     []byte
}

const xpartHeader = 32

// cutPart takes a part from the front of b.
func cutPart(b []byte) (p xpart, rest []byte, err error) {
	if len(b) < xpartHeader {
		return xpart{}, nil, errMalformed
	}
	size := int(host16(b))
	name, terminated := cString(b[2:31])
	if size < xpartHeader || size > len(b) || size%8 != 0 || !terminated {
		return xpart{}, nil, errMalformed
	}
	return xpart{name, b[31], b[xpartHeader:size]}, b[size:], nil
}

// cutEntry takes the entry at offset from a table.
func cutEntry(form *xform, table []byte, offset int) (xentry, error) {
	b := table[offset:]
	if len(b) < form.size {
		return xentry{}, errMalformed
	}
	target, next := int(host16(b[form.targetOffset:])), int(host16(b[form.nextOffset:]))
	if target < form.size || target > next || next > len(b) || next%8 != 0 {
		return xentry{}, errMalformed
	}
	e := xentry{form: form, offset: offset, header: b[:form.size], matches: b[form.size:target], next: offset + next}
	var err error
	e.target, _, err = cutPart(b[target:next])
	return e, err
}

func host16(b []byte) uint16 { return binary.NativeEndian.Uint16(b) }

// cString reads up to the NUL; what follows it is undefined.
func cString(b []byte) (s []byte, terminated bool) {
	s, _, terminated = bytes.Cut(b, []byte{0})
	return s, terminated
}

func allZero(b []byte) bool { return bytes.Count(b, []byte{0}) == len(b) }

func allOnes(b []byte) bool { return bytes.Count(b, []byte{0xff}) == len(b) }

// heads returns the name of the chain that begins after this entry; "" if none
// does. The one at the end of the table is a chain of that form, too.
func (e xentry) heads() (string, error) {
	if string(e.target.name) != "ERROR" {
		return "", nil
	}
	name, terminated := cString(e.target.data)
	if !terminated || len(name) == 0 || len(e.matches) > 0 {
		return "", errMalformed
	}
	return string(name), nil
}

// verdict returns that of the standard target, whose name is "": below 0 what
// becomes of the packet, else the offset of the entry to go on with.
func (e xentry) verdict() (v int, standard bool) {
	if len(e.target.name) > 0 || e.target.revision != 0 || len(e.target.data) != 8 {
		return 0, false
	}
	return int(int32(binary.NativeEndian.Uint32(e.target.data))), true
}

// rule returns what the entry says, if that is nothing but what we write, in our
// order; otherwise it is not ok. jump is the chain that it leads to, if any.
func (e xentry) rule(jump string) (r rule, ok bool) {
	tcp, ok := e.selection(&r)
	if !ok {
		return rule{}, false
	}
	last := 0
	for rest := e.matches; len(rest) > 0; {
		var m xpart
		var err error
		if m, rest, err = cutPart(rest); err != nil {
			return rule{}, false
		}
		place, ok := r.match(m)
		if !ok || place <= last {
			return rule{}, false
		}
		last = place
	}
	if (r.dport != 0 || r.opening) != tcp {
		return rule{}, false
	}
	if jump != "" {
		r.jump = jump
		return r, true
	}
	r.toPort = e.toPort()
	return r, r.toPort != 0
}

// selection reads the header: -d with one address, and -p tcp, if that is all.
func (e xentry) selection(r *rule) (tcp, ok bool) {
	h, n := e.header, e.form.addr
	src, dst, srcMask, dstMask := h[:n], h[n:2*n], h[2*n:3*n], h[3*n:4*n]
	if !allZero(src) || !allZero(srcMask) || !allZero(h[4*n:e.form.proto]) {
		return false, false
	}
	switch {
	case allZero(dst) && allZero(dstMask):
	case allOnes(dstMask):
		r.dst, _ = netip.AddrFromSlice(dst)
	default:
		return false, false
	}
	flags := h[e.form.flags:e.form.flagsEnd]
	switch host16(h[e.form.proto:]) {
	case 0:
		return false, allZero(flags)
	case 6:
		return true, bytes.Equal(flags, e.form.withProto)
	}
	return false, false
}
