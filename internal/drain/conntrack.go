package drain

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"github.com/switcheroo/switcheroo/internal/sockdiag"
	"golang.org/x/sys/unix"
)

// From linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h.
const (
	messageGet    = 1<<8 | 1 // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
	messageDelete = 1<<8 | 2 // IPCTNL_MSG_CT_DELETE
	headerLen     = 4        // sizeof(struct nfgenmsg)

	ctaTupleOrig  = 1
	ctaTupleReply = 2
	ctaProtoInfo  = 4
	ctaZone       = 18
	ctaFilter     = 25

	ctaFilterReplyFlags = 2
	filterProtoNum      = 1 << 3 // CTA_FILTER_F_CTA_PROTO_NUM
	filterProtoSrcPort  = 1 << 4 // CTA_FILTER_F_CTA_PROTO_SRC_PORT

	ctaTupleIP      = 1
	ctaTupleProto   = 2
	ctaIPv4Src      = 1
	ctaIPv4Dst      = 2
	ctaIPv6Src      = 3
	ctaIPv6Dst      = 4
	ctaProtoNum     = 1
	ctaProtoSrcPort = 2
	ctaProtoDstPort = 3

	ctaProtoInfoTCP      = 1
	ctaProtoInfoTCPState = 1
)

// maxFiltered is for how many ports dumps filtered by the kernel are cheaper than
// one of the whole table. A filtered one goes by port and family and walks the
// table each time, which takes 6 to 15 ms for the usual 262,144 buckets, even if
// they are empty; each entry that is copied takes 3 µs. For as long as that, the
// processor that walks takes no packets (ctnetlink_dump_table keeps softirqs
// off), so what arrives there meanwhile is late.
const maxFiltered = 2

// readEntries counts, by the port that replies come from, the conntrack entries
// that could lead a connection there (see [entry.leads]). With a port-only DNAT
// that is the private port. Where conntrack is not in use there are none. ports
// are sorted.
func readEntries(ctx context.Context, ports []uint16) (map[uint16]int, error) {
	var n map[uint16]int
	count := func(e entry) {
		if _, wanted := slices.BinarySearch(ports, e.port); wanted && e.leads() {
			n[e.port]++
		}
	}
	err := sockdiag.Consistently(func() error {
		n = make(map[uint16]int)
		if len(ports) > maxFiltered {
			return dumpTable(ctx, count)
		}
		for _, port := range ports {
			if err := dumpPort(ctx, port, count); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("dump conntrack: %w", err)
	}
	return n, nil
}

// dumpPort visits the TCP entries that reply from the port. Where the kernel
// refuses the filter, or ignores it (before 5.8), they are picked from all.
func dumpPort(ctx context.Context, port uint16, visit func(entry)) error {
	only := func(e entry) {
		if e.port == port {
			visit(e)
		}
	}
	// A filter for both families at once is refused.
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		err := dump(ctx, requestPort(family, port), only)
		if isRefused(err) {
			return dumpTable(ctx, only)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dumpTable visits all TCP entries.
func dumpTable(ctx context.Context, visit func(entry)) error {
	err := dump(ctx, requestTable(unix.AF_UNSPEC), visit)
	if isRefused(err) {
		return nil // a kernel without conntrack
	}
	return err
}

// isRefused reports whether err says that the kernel can't be asked that.
func isRefused(err error) bool {
	return errors.Is(err, unix.EINVAL) || // no such subsystem, or filter
		errors.Is(err, unix.EOPNOTSUPP) ||
		errors.Is(err, unix.EPROTONOSUPPORT) // no netfilter
}

func dump(ctx context.Context, req netlink.Message, visit func(entry)) error {
	return sockdiag.Exchange(ctx, unix.NETLINK_NETFILTER, req, func(m netlink.Message) error {
		e, err := parseEntry(m.Data)
		if err == nil && e.tcp {
			visit(e)
		}
		return err
	})
}

// requestTable encodes the request for a dump of all entries of a family.
func requestTable(family byte) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: messageGet, Flags: netlink.Request | netlink.Dump},
		Data:   []byte{family, 0, 0, 0}, // version NFNETLINK_V0, resource 0
	}
}

// requestPort encodes the one for the TCP entries that reply from the port.
func requestPort(family byte, port uint16) netlink.Message {
	proto := slices.Concat(
		attr(ctaProtoNum, []byte{unix.IPPROTO_TCP}),
		attr(ctaProtoSrcPort, binary.BigEndian.AppendUint16(nil, port)),
	)
	flags := binary.NativeEndian.AppendUint32(nil, filterProtoNum|filterProtoSrcPort)
	req := requestTable(family)
	req.Data = slices.Concat(req.Data,
		nest(ctaTupleReply, nest(ctaTupleProto, proto)),
		nest(ctaFilter, attr(ctaFilterReplyFlags, flags)),
	)
	return req
}

func nest(typ uint16, inner []byte) []byte { return attr(typ|unix.NLA_F_NESTED, inner) }

// attr encodes a netlink attribute, padded to four bytes.
func attr(typ uint16, data []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(data)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, data...)
	return append(b, make([]byte, -len(b)&3)...)
}
