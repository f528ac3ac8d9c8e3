package drain

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

// shorten makes the listener's queue as short as can be.
func shorten(t testing.TB, s server) {
	t.Helper()
	raw, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.Listen(int(fd), 0) })
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
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

// rule leads a public port of this host to a private one, in the way of the
// backends, but in a chain that is not its own. Each test has a public port of
// its own: conntrack remembers what the source ports of the last one met.
type rule struct{ public uint16 }

func redirect(t testing.TB, public, private uint16) rule {
	t.Helper()
	r := rule{public}
	r.iptables(t, "-A", "OUTPUT", private)
	t.Cleanup(func() {
		for _, iptables := range []string{"iptables", "ip6tables"} {
			command(t, iptables, "-w", "5", "-t", "nat", "-F", "OUTPUT")
		}
	})
	return r
}

// lead replaces the rule, the first, in place.
func (r rule) lead(t testing.TB, private uint16) { r.iptables(t, "-R", "OUTPUT 1", private) }

func (r rule) iptables(t testing.TB, verb, where string, private uint16) {
	t.Helper()
	for _, iptables := range []string{"iptables", "ip6tables"} {
		args := strings.Fields(fmt.Sprintf("-w 5 -t nat %s %s -p tcp --dport %d --syn -j DNAT --to-destination :%d", verb, where, r.public, private))
		command(t, iptables, args...)
	}
}

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
