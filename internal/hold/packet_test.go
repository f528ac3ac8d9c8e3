package hold

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

var (
	from4, to4 = netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.1")
	from6, to6 = netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8::1")
)

// tcpHead is the head of a segment from port 40000 to 443.
var tcpHead = []byte{0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1}

func ipv4(options int, protocol byte, offset uint16, segment []byte) []byte {
	b := make([]byte, 20+options)
	b[0] = 0x40 | byte(len(b)/4)
	binary.BigEndian.PutUint16(b[6:], offset)
	b[9] = protocol
	copy(b[12:], from4.AsSlice())
	copy(b[16:], to4.AsSlice())
	return append(b, segment...)
}

// ipv6 has one extension header of that kind and length in front of the
// segment, unless kind is TCP.
func ipv6(kind byte, length int, segment []byte) []byte {
	b := make([]byte, 40, 200)
	b[0], b[6] = 0x60, kind
	copy(b[8:], from6.AsSlice())
	copy(b[24:], to6.AsSlice())
	if kind != unix.IPPROTO_TCP {
		extension := make([]byte, length)
		extension[0], extension[1] = unix.IPPROTO_TCP, byte(length/8-1)
		b = append(b, extension...)
	}
	return append(b, segment...)
}

func TestParseFlow(t *testing.T) {
	v4 := flow{netip.AddrPortFrom(from4, 40000), netip.AddrPortFrom(to4, 443)}
	v6 := flow{netip.AddrPortFrom(from6, 40000), netip.AddrPortFrom(to6, 443)}
	tests := map[string]struct {
		packet []byte
		want   flow
	}{
		"IPv4":                     {ipv4(0, unix.IPPROTO_TCP, 0, tcpHead), v4},
		"IPv4 with options":        {ipv4(40, unix.IPPROTO_TCP, 0, tcpHead), v4},
		"IPv4, do not fragment":    {ipv4(0, unix.IPPROTO_TCP, 0x4000, tcpHead), v4},
		"IPv4, a later fragment":   {ipv4(0, unix.IPPROTO_TCP, 7, tcpHead), flow{}},
		"IPv4, UDP":                {ipv4(0, unix.IPPROTO_UDP, 0, tcpHead), flow{}},
		"IPv4, cut off":            {ipv4(0, unix.IPPROTO_TCP, 0, tcpHead[:3]), flow{}},
		"IPv6":                     {ipv6(unix.IPPROTO_TCP, 0, tcpHead), v6},
		"IPv6, hop by hop":         {ipv6(unix.IPPROTO_HOPOPTS, 8, tcpHead), v6},
		"IPv6, destination":        {ipv6(unix.IPPROTO_DSTOPTS, 24, tcpHead), v6},
		"IPv6, a fragment":         {ipv6(unix.IPPROTO_FRAGMENT, 8, tcpHead), flow{}},
		"IPv6, header cut off":     {ipv6(unix.IPPROTO_ROUTING, 24, nil)[:48], flow{}},
		"IPv6, nothing in it":      {ipv6(unix.IPPROTO_TCP, 0, nil), flow{}},
		"no IP":                    {[]byte{0x50, 1, 2, 3}, flow{}},
		"nothing":                  {nil, flow{}},
		"IPv4 with a length of 16": {append([]byte{0x44}, ipv4(0, unix.IPPROTO_TCP, 0, tcpHead)[1:]...), flow{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := parseFlow(tt.packet)
			if got != tt.want || ok != (tt.want != flow{}) {
				t.Errorf("got %v, %v; want %v", got, ok, tt.want)
			}
		})
	}
}

func FuzzParseFlow(f *testing.F) {
	f.Add(ipv4(4, unix.IPPROTO_TCP, 0, tcpHead))
	f.Add(ipv6(unix.IPPROTO_HOPOPTS, 16, tcpHead))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := parseFlow(b)
		if ok != (got != flow{}) && ok != (got.from.IsValid() && got.to.IsValid()) {
			t.Errorf("%v, %v", got, ok)
		}
	})
}

func FuzzParsePacket(f *testing.F) {
	head := []byte{0, 11, 0, 1, 0, 0, 0, 7, 8, 0, 3, 0} // NFQA_PACKET_HDR: id 7, IPv4, output
	f.Add(append([]byte{2, 0, 0x53, 0x57}, head...))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := netlink.Message{Header: netlink.Header{Type: unix.NFNL_SUBSYS_QUEUE << 8}, Data: b}
		if p, ok, err := parsePacket(m); err != nil && (ok || p.id != 0) {
			t.Errorf("%+v, %v with %v", p, ok, err)
		}
	})
}
