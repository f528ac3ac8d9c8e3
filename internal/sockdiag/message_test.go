package sockdiag

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// encode builds what the kernel sends for a listener.
func encode(family byte, addr netip.Addr, port uint16, attrs ...netlink.Attribute) []byte {
	b := make([]byte, messageLen)
	b[0], b[1] = family, byte(Listen)
	binary.BigEndian.PutUint16(b[4:], port)
	copy(b[8:24], addr.AsSlice())
	for i, v := range []uint32{2, 128, 1000, 4711} { // rqueue, wqueue, uid, inode
		binary.NativeEndian.PutUint32(b[56+4*i:], v)
	}
	a, err := netlink.MarshalAttributes(attrs)
	if err != nil {
		panic(err)
	}
	return append(b, a...)
}

func TestDecodeListener(t *testing.T) {
	cgroup := netlink.Attribute{Type: attrCgroupID, Data: binary.NativeEndian.AppendUint64(nil, 1<<40|7)}
	base := Listener{Inode: 4711, UID: 1000, Queue: 2, Backlog: 128}
	with := func(addr string, f func(*Listener)) Listener {
		l := base
		l.Addr = netip.MustParseAddrPort(addr)
		f(&l)
		return l
	}
	for name, c := range map[string]struct {
		b    []byte
		want Listener
	}{
		"IPv4 with cgroup": {
			encode(unix.AF_INET, netip.MustParseAddr("192.0.2.1"), 80, cgroup),
			with("192.0.2.1:80", func(l *Listener) { l.CgroupID = 1<<40 | 7 }),
		},
		"IPv6 only": {
			encode(unix.AF_INET6, netip.IPv6Unspecified(), 443, netlink.Attribute{Type: attrV6Only, Data: []byte{1}}),
			with("[::]:443", func(l *Listener) { l.V6Only = true }),
		},
		"mapped, unknown attribute": {
			encode(unix.AF_INET6, netip.MustParseAddr("::ffff:127.0.0.1"), 1, netlink.Attribute{Type: 99, Data: []byte{1, 2, 3}}),
			with("127.0.0.1:1", func(*Listener) {}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := parseMessage(c.b)
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.listener()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	whole := encode(unix.AF_INET, netip.MustParseAddr("192.0.2.1"), 80)
	for name, b := range map[string][]byte{
		"nothing":         nil,
		"one byte short":  whole[:messageLen-1],
		"unknown family":  append([]byte{unix.AF_UNIX}, whole[1:]...),
		"half attribute":  append(bytes.Clone(whole), 8, 0),
		"short cgroup id": encode(unix.AF_INET, netip.IPv4Unspecified(), 1, netlink.Attribute{Type: attrCgroupID, Data: []byte{1}}),
		"long v6only":     encode(unix.AF_INET, netip.IPv4Unspecified(), 1, netlink.Attribute{Type: attrV6Only, Data: []byte{1, 2}}),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := parseMessage(b)
			if err == nil {
				_, err = m.listener()
			}
			if err == nil {
				t.Error("accepted")
			}
		})
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(encode(unix.AF_INET, netip.MustParseAddr("192.0.2.1"), 80))
	f.Add(encode(unix.AF_INET6, netip.MustParseAddr("fe80::1"), 80,
		netlink.Attribute{Type: attrV6Only, Data: []byte{1}},
		netlink.Attribute{Type: attrCgroupID, Data: make([]byte, 8)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			return
		}
		s := m.socket()
		if !s.Local.IsValid() || !s.Remote.IsValid() || s.Local.Addr().Is4In6() {
			t.Errorf("decoded to %+v", s)
		}
		if s.State == Listen && (s.Live() || s.Accepted() && s.Inode == 0) {
			t.Errorf("a listener is no connection: %+v", s)
		}
		l, err := m.listener()
		if err != nil {
			return
		}
		if l.Addr.Port() != s.Local.Port() || l.Addr.Addr().WithZone("") != s.Local.Addr() {
			t.Errorf("listener at %s, socket at %s", l.Addr, s.Local)
		}
	})
}
