package drain

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
)

// A port that was public before there was a redirect. Conntrack missed the end
// of one of its connections, as it does of one that the first rule finds in the
// middle of it. The next from the same source port goes to the old server,
// whatever the rule says, until the entry is forgotten.
func TestForget(t *testing.T) {
	needKernel(t)
	for name, c := range map[string]struct {
		addr     string
		reversed bool // conntrack saw an answer first
		forget   bool
	}{
		"IPv4":                                {"127.0.0.1", false, true},
		"IPv6":                                {"::1", false, true},
		"IPv4, answer first":                  {"127.0.0.1", true, true},
		"IPv6, answer first":                  {"::1", true, true},
		"IPv4, not forgotten":                 {"127.0.0.1", false, false},
		"IPv6, not forgotten, answer first":   {"::1", true, false},
		"IPv4, not forgotten, answer first":   {"127.0.0.1", true, false},
		"IPv6, not forgotten, question first": {"::1", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(Options{})
			before, after := serve(t, "tcp", "[::]:0"), serve(t, "tcp", "[::]:0")
			redirect(t, before.port, after.port).lead(t, 9) // nowhere yet; has connections tracked
			before.Close()
			before = serve(t, "tcp", fmt.Sprintf("[::]:%d", before.port))
			client := stale(t, m, before, c.addr, c.reversed)
			rule{before.port}.lead(t, after.port)
			if c.forget {
				if n, err := m.Forget(t.Context(), []uint16{before.port}); err != nil || n != 1 {
					t.Errorf("forgot %d, %v; want 1", n, err)
				}
				if n, err := m.Forget(t.Context(), []uint16{before.port}); err != nil || n != 0 {
					t.Errorf("then %d, %v; want none", n, err)
				}
			}
			from := net.Dialer{LocalAddr: client, Timeout: 5 * time.Second}
			again, err := from.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr(c.addr), before.port).String())
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if c.forget {
				after.accept(t)
			} else {
				before.accept(t) // or the test would show nothing
			}
		})
	}
}

// stale makes an entry of a connection to s that is over, and returns where that
// came from.
func stale(t *testing.T, m *Monitor, s server, addr string, reversed bool) net.Addr {
	t.Helper()
	// The rule that is there leads elsewhere: the connection is from before it.
	command(t, "nft", fmt.Sprintf(`add table inet early; add chain inet early pre { type filter hook output priority -400; }
		add rule inet early pre tcp dport %d notrack; add rule inet early pre tcp sport %[1]d notrack`, s.port))
	client, accepted := s.pair(t, addr)
	command(t, "nft", "delete table inet early")
	say := func(from, to net.Conn) {
		t.Helper()
		if _, err := from.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if reversed {
		say(accepted, client)
		say(client, accepted)
	} else {
		say(client, accepted)
		say(accepted, client)
	}
	command(t, "nft", fmt.Sprintf(`add table inet gone; add chain inet gone out { type filter hook output priority -400; }
		add rule inet gone out tcp dport %d drop; add rule inet gone out tcp sport %[1]d drop`, s.port)) // before conntrack sees it
	for _, c := range []*net.TCPConn{client, accepted} {
		c.SetLinger(0)
		c.Close()
	}
	command(t, "nft", "delete table inet gone")
	return client.LocalAddr()
}

// Entries that translate stay, and so do the connections.
func TestForgetSparesRedirectedConnections(t *testing.T) {
	needKernel(t)
	s := serve(t, "tcp", "[::]:0")
	// Another test may have had this port.
	if _, err := New(Options{}).Forget(t.Context(), []uint16{95, s.port}); err != nil {
		t.Fatal(err)
	}
	redirect(t, 95, s.port)
	client := dial(t, "127.0.0.1", 95)
	accepted := s.accept(t)
	n, err := New(Options{}).Forget(t.Context(), []uint16{95, s.port})
	if err != nil || n != 0 {
		t.Errorf("forgot %d, %v", n, err)
	}
	if got := entriesOn(t, s.port)[s.port]; got != 1 {
		t.Errorf("%d entries are left of 1", got)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	accepted.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(accepted, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestAnswerOf(t *testing.T) {
	own := func(a netip.AddrPort) bool { return a == netip.MustParseAddrPort("10.0.0.1:80") }
	tuple := func(ae *netlink.AttributeEncoder, typ uint16, src, dst string) {
		from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
		ae.Nested(typ, func(ae *netlink.AttributeEncoder) error {
			ae.Nested(ctaTupleIP, func(ae *netlink.AttributeEncoder) error {
				ae.Bytes(ctaIPv4Src, from.Addr().AsSlice())
				ae.Bytes(ctaIPv4Dst, to.Addr().AsSlice())
				return nil
			})
			ae.Nested(ctaTupleProto, func(ae *netlink.AttributeEncoder) error {
				ae.Uint8(ctaProtoNum, 6)
				ae.Bytes(ctaProtoSrcPort, []byte{byte(from.Port() >> 8), byte(from.Port())})
				ae.Bytes(ctaProtoDstPort, []byte{byte(to.Port() >> 8), byte(to.Port())})
				return nil
			})
			return nil
		})
	}
	for name, c := range map[string]struct {
		forth, back [2]string
		zone        bool
		want        string // where the answers come from
	}{
		"asked first":    {[2]string{"10.0.0.2:5", "10.0.0.1:80"}, [2]string{"10.0.0.1:80", "10.0.0.2:5"}, false, "10.0.0.1:80"},
		"answered first": {[2]string{"10.0.0.1:80", "10.0.0.2:5"}, [2]string{"10.0.0.2:5", "10.0.0.1:80"}, false, "10.0.0.1:80"},
		"redirected":     {[2]string{"10.0.0.2:5", "10.0.0.1:80"}, [2]string{"10.0.0.1:61000", "10.0.0.2:5"}, false, ""},
		"redirected to":  {[2]string{"10.0.0.2:5", "10.0.0.1:443"}, [2]string{"10.0.0.1:80", "10.0.0.2:5"}, false, ""},
		"source changed": {[2]string{"10.0.0.2:5", "10.0.0.1:80"}, [2]string{"10.0.0.1:80", "10.0.0.9:5"}, false, ""},
		"of others":      {[2]string{"10.0.0.1:5", "10.0.0.2:80"}, [2]string{"10.0.0.2:80", "10.0.0.1:5"}, false, ""},
		"in a zone":      {[2]string{"10.0.0.2:5", "10.0.0.1:80"}, [2]string{"10.0.0.1:80", "10.0.0.2:5"}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := encoded(t, func(ae *netlink.AttributeEncoder) {
				tuple(ae, ctaTupleOrig, c.forth[0], c.forth[1])
				tuple(ae, ctaTupleReply, c.back[0], c.back[1])
				if c.zone {
					ae.Bytes(ctaZone, []byte{0, 1})
				}
			})
			got := ""
			if answer := answerOf(b, own); answer != nil {
				from, _ := parseTuple(answer)
				got = from.String()
			}
			if got != c.want {
				t.Errorf("answers of what is to be forgotten come from %q, want %q", got, c.want)
			}
		})
	}
}
