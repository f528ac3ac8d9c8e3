package drain

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"
)

// server is a listener, and what is accepted from it on demand.
type server struct {
	*net.TCPListener
	port uint16
}

func serve(t testing.TB, network, addr string) server {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return server{l.(*net.TCPListener), netip.MustParseAddrPort(l.Addr().String()).Port()}
}

func (s server) accept(t testing.TB) *net.TCPConn {
	t.Helper()
	s.SetDeadline(time.Now().Add(5 * time.Second))
	c, err := s.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func dial(t testing.TB, addr string, port uint16) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr(addr), port).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// pair returns both ends of an accepted connection.
func (s server) pair(t testing.TB, addr string) (client, accepted *net.TCPConn) {
	t.Helper()
	client = dial(t, addr, s.port)
	return client, s.accept(t)
}

// dropSynAcks keeps handshakes with the port half open until the function
// returned is called.
func dropSynAcks(t testing.TB, port uint16) (stop func()) {
	t.Helper()
	command(t, "nft", fmt.Sprintf(`add table inet half; add chain inet half out { type filter hook output priority 0; }
		add rule inet half out tcp sport %d tcp flags & (syn|ack) == syn|ack drop`, port))
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			command(t, "nft", "delete table inet half")
		}
	}
	t.Cleanup(stop)
	return stop
}

// redirect leads a public port of this host to a private one, in the way of the
// backends.
func redirect(t testing.TB, public, private uint16) {
	t.Helper()
	for _, iptables := range []string{"iptables", "ip6tables"} {
		rule := []string{"OUTPUT", "-p", "tcp", "--dport", fmt.Sprint(public), "--syn", "-j", "DNAT", "--to-destination", fmt.Sprintf(":%d", private)}
		command(t, iptables, append([]string{"-w", "5", "-t", "nat", "-A"}, rule...)...)
		t.Cleanup(func() {
			command(t, iptables, append([]string{"-w", "5", "-t", "nat", "-D"}, rule...)...)
		})
	}
}

func monitor() *Monitor { return New(slog.New(slog.NewTextHandler(io.Discard, nil))) }

// eventually waits for what another process or the network stack does.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("not within 5 s")
}
