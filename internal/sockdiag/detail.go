package sockdiag

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/mdlayher/netlink"
)

const (
	attrInfo = 2 // INET_DIAG_INFO

	// Where fields of struct tcp_info are. Older kernels end it earlier.
	infoLastSent      = 44 // tcpi_last_data_sent, ms
	infoLastReceived  = 52 // tcpi_last_data_recv, ms
	infoBytesAcked    = 120
	infoBytesReceived = 128
)

// Detail is a connection, and what TCP knows of it.
type Detail struct {
	Socket
	Received uint64 // bytes since it began
	Sent     uint64 // bytes since it began that the peer has acknowledged
	// Idle is how long ago the process last sent data, or the peer's came;
	// negative where the kernel does not tell, as for half-open ones.
	Idle time.Duration
}

// Details returns the live connections whose local port is one of ports, in no
// order.
func Details(ctx context.Context, ports ...uint16) ([]Detail, error) {
	var all []Detail
	if len(ports) == 0 {
		return nil, nil
	}
	f := newFilter(ports)
	err := Consistently(func() error {
		all = all[:0]
		return scanWith(ctx, 1<<(attrInfo-1), live, f, func(m message) error {
			if s := m.socket(); s.Live() {
				all = append(all, m.detail(s))
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// detail decodes what comes after the socket s itself.
func (m message) detail(s Socket) Detail {
	d := Detail{Socket: s, Idle: -1}
	ad, err := netlink.NewAttributeDecoder(m.b[messageLen:])
	if err != nil {
		return d
	}
	for ad.Next() {
		if ad.Type() != attrInfo {
			continue
		}
		info := ad.Bytes()
		if len(info) >= infoLastReceived+4 && s.State != SynRecv {
			sent := binary.NativeEndian.Uint32(info[infoLastSent:])
			received := binary.NativeEndian.Uint32(info[infoLastReceived:])
			d.Idle = time.Duration(min(sent, received)) * time.Millisecond
		}
		if len(info) >= infoBytesReceived+8 {
			d.Sent = binary.NativeEndian.Uint64(info[infoBytesAcked:])
			d.Received = binary.NativeEndian.Uint64(info[infoBytesReceived:])
		}
	}
	return d
}

// Tally is how many connections a port has, by how far they are.
type Tally struct {
	Accepted int // live, and taken from the queue by the server
	Queued   int // live, and not
	HalfOpen int // handshakes under way
}

// Tallies counts the live connections by local port. A port without any is
// absent.
func Tallies(ctx context.Context, ports ...uint16) (map[uint16]Tally, error) {
	var n map[uint16]Tally
	err := each(ctx, live, ports, func() func(Socket) {
		n = make(map[uint16]Tally)
		return func(s Socket) {
			t := n[s.Local.Port()]
			switch {
			case !s.Live():
				return
			case s.State == SynRecv:
				t.HalfOpen++
			case s.Accepted():
				t.Accepted++
			default:
				t.Queued++
			}
			n[s.Local.Port()] = t
		}
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}
