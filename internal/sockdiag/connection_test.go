package sockdiag

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// pair returns both ends of an accepted connection to the listener.
func pair(t testing.TB, l *net.TCPListener, to string) (client, server *net.TCPConn) {
	t.Helper()
	c, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return c.(*net.TCPConn), s
}

func addrPort(a net.Addr) netip.AddrPort { return netip.MustParseAddrPort(a.String()) }

func liveOn(t testing.TB, port uint16) int {
	t.Helper()
	n, err := Live(t.Context(), port)
	if err != nil {
		t.Fatal(err)
	}
	return n[port]
}

// Whatever families listener and client have, the server's end is found and
// counted once, with plain addresses.
func TestFamilies(t *testing.T) {
	needKernel(t)
	for _, c := range []struct{ network, listen, client string }{
		{"tcp4", "127.0.0.1:0", "127.0.0.1"},
		{"tcp6", "[::1]:0", "::1"},
		{"tcp", "[::]:0", "127.0.0.1"},
		{"tcp", "[::]:0", "::1"},
	} {
		t.Run(fmt.Sprintf("%s by %s", c.listen, c.client), func(t *testing.T) {
			l := listen(t, c.network, c.listen)
			port := portOf(l)
			to := netip.AddrPortFrom(netip.MustParseAddr(c.client), port)
			client, server := pair(t, l, to.String())
			want := Socket{
				Local:  to,
				Remote: addrPort(client.LocalAddr()),
				State:  Established,
				Inode:  inode(t, server),
			}
			same := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
			all, err := Sockets(t.Context(), Set(Established), port)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]Socket{want}, all, same); diff != "" {
				t.Errorf("Sockets (-want +got):\n%s", diff)
			}
			if n := liveOn(t, port); n != 1 {
				t.Errorf("Live: %d, want 1", n)
			}
			found, ok, err := Find(t.Context(), to, want.Remote)
			if err != nil || !ok {
				t.Fatalf("Find: %v, %v", ok, err)
			}
			if diff := cmp.Diff(want, found, same); diff != "" {
				t.Errorf("Find (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindNone(t *testing.T) {
	needKernel(t)
	l := listen(t, "tcp", "127.0.0.1:0")
	local := addrPort(l.Addr())
	for name, c := range map[string]struct{ local, remote netip.AddrPort }{
		"only the listener": {local, netip.MustParseAddrPort("127.0.0.1:9")},
		"nothing at all":    {netip.MustParseAddrPort("127.0.0.1:9"), local},
		"IPv6":              {netip.MustParseAddrPort("[::1]:9"), netip.MustParseAddrPort("[::1]:10")},
	} {
		t.Run(name, func(t *testing.T) {
			if s, ok, err := Find(t.Context(), c.local, c.remote); ok || err != nil {
				t.Errorf("got %v, %v, %v", s, ok, err)
			}
		})
	}
}

// From the queue through a half-closed to a closed and orphaned connection.
func TestLifeOfAConnection(t *testing.T) {
	needKernel(t)
	l := listen(t, "tcp", "[::]:0")
	port := portOf(l)
	conn, err := net.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := conn.(*net.TCPConn)
	local, remote := addrPort(client.RemoteAddr()), addrPort(client.LocalAddr())
	is := func(state State, accepted, live bool) {
		t.Helper()
		var s Socket
		eventually(t, func() bool {
			var err error
			if s, _, err = Find(t.Context(), local, remote); err != nil {
				t.Fatal(err)
			}
			return s.State == state && s.Accepted() == accepted
		})
		n := 0
		if live {
			n = 1
		}
		if s.Live() != live || liveOn(t, port) != n {
			t.Errorf("%s: live %v, counted %d; want %v", s.State, s.Live(), liveOn(t, port), live)
		}
	}

	is(Established, false, true)
	server, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	is(Established, true, true)
	server.CloseWrite()
	is(FinWait2, true, true) // the server still reads
	server.Close()
	is(FinWait2, true, false) // an orphan with nothing left to deliver
	client.Close()
	is(TimeWait, true, false)
}

func TestClientClosesFirst(t *testing.T) {
	needKernel(t)
	l := listen(t, "tcp", "127.0.0.1:0")
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	local, remote := addrPort(client.RemoteAddr()), addrPort(client.LocalAddr())
	client.Write([]byte("request"))
	client.Close()
	var s Socket
	eventually(t, func() bool {
		s, _, err = Find(t.Context(), local, remote)
		return err != nil || s.State == CloseWait
	})
	if err != nil || s.Accepted() || !s.Live() {
		t.Fatalf("got %+v, %v; want a live CLOSE_WAIT that was not accepted", s, err)
	}
}

// What a closed connection still has to deliver keeps it live.
func TestOrphanWithDataIsLive(t *testing.T) {
	needKernel(t)
	l := listen(t, "tcp", "127.0.0.1:0")
	client, server := pair(t, l, l.Addr().String())
	// As much as the buffers of both ends take, while the client reads nothing.
	server.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	sent, err := server.Write(make([]byte, 64<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("wrote %d bytes, %v; want full buffers", sent, err)
	}
	server.Close()
	local, remote := addrPort(client.RemoteAddr()), addrPort(client.LocalAddr())
	s, _, err := Find(t.Context(), local, remote)
	if err != nil || s.State != FinWait1 || s.Inode != 0 || s.Unacked < 2 || !s.Live() {
		t.Fatalf("got %+v, %v; want a live orphan in FIN_WAIT1 with data", s, err)
	}
	n, err := io.Copy(io.Discard, client)
	if err != nil || n != int64(sent) {
		t.Fatalf("read %d bytes, %v; want %d", n, err, sent)
	}
	eventually(t, func() bool { return liveOn(t, portOf(l)) == 0 })
}

// halfOpen leaves a handshake in SYN_RECV: the SYN-ACK is dropped on its way.
func halfOpen(t testing.TB, to string) {
	t.Helper()
	addr := netip.MustParseAddrPort(to)
	command(t, "nft", fmt.Sprintf(`add table inet half; add chain inet half out { type filter hook output priority 0; }
		add rule inet half out tcp sport %d tcp flags & (syn|ack) == syn|ack drop`, addr.Port()))
	t.Cleanup(func() { command(t, "nft", "delete table inet half") })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	dialing, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go func() {
		defer close(done)
		var d net.Dialer
		if c, err := d.DialContext(dialing, "tcp", to); err == nil {
			c.Close()
		}
	}()
	eventually(t, func() bool {
		n, err := HalfOpen(ctx, addr.Port())
		return err != nil || n[addr.Port()] > 0
	})
}

func TestHalfOpen(t *testing.T) {
	needKernel(t)
	for _, c := range []struct{ network, listen, client string }{
		{"tcp4", "127.0.0.1:0", "127.0.0.1"},
		{"tcp6", "[::1]:0", "::1"},
		{"tcp", "[::]:0", "127.0.0.1"},
	} {
		t.Run(c.listen+" by "+c.client, func(t *testing.T) {
			l := listen(t, c.network, c.listen)
			port := portOf(l)
			halfOpen(t, netip.AddrPortFrom(netip.MustParseAddr(c.client), port).String())
			n, err := HalfOpen(t.Context(), port, port+1)
			if diff := cmp.Diff(map[uint16]int{port: 1}, n); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if n := liveOn(t, port); n != 1 {
				t.Errorf("Live: %d, want 1", n)
			}
		})
	}
}

// The client's end of a connection of this host to itself has the port as its
// remote one, and does not count.
func TestOutgoingDoesNotCount(t *testing.T) {
	needKernel(t)
	l := listen(t, "tcp", "127.0.0.1:0")
	client, _ := pair(t, l, l.Addr().String())
	if n := liveOn(t, portOf(l)); n != 1 {
		t.Errorf("%d on the server's port, want 1", n)
	}
	if n := liveOn(t, addrPort(client.LocalAddr()).Port()); n != 1 {
		t.Errorf("%d on the client's port, want 1", n)
	}
}

// A Go listener speaks MPTCP where the kernel does; its sockets are counted as
// any others.
func TestMultipathTCP(t *testing.T) {
	needKernel(t)
	lc := net.ListenConfig{}
	lc.SetMultipathTCP(true)
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	l, port := ln.(*net.TCPListener), portOf(ln)
	dialer := net.Dialer{}
	dialer.SetMultipathTCP(true)
	c, err := dialer.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	used, err := c.(*net.TCPConn).MultipathTCP()
	t.Logf("multipath %v, %v", used, err)

	ls, err := ListenersOn(t.Context(), port)
	if err != nil || len(ls) != 1 || ls[0].Queue != 1 || ls[0].Inode != inode(t, l) {
		t.Fatalf("got %+v, %v; want one listener with inode %d and one in its queue", ls, err, inode(t, l))
	}
	accepted := func() bool {
		s, ok, err := Find(t.Context(), addrPort(c.RemoteAddr()), addrPort(c.LocalAddr()))
		if err != nil || !ok {
			t.Fatalf("Find: %v, %v", ok, err)
		}
		return s.Accepted()
	}
	if accepted() {
		t.Error("accepted before accept")
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !accepted() {
		t.Error("not accepted after accept")
	}
	if n := liveOn(t, port); n != 1 {
		t.Errorf("Live: %d, want 1", n)
	}
}

// A visit's error, as a malformed message gives, ends the dump.
func TestErrorEndsADump(t *testing.T) {
	needKernel(t)
	for range 50 {
		listen(t, "tcp", "127.0.0.1:0")
	}
	stop, calls := errors.New("stop"), 0
	err := scan(t.Context(), Set(Listen), nil, func(message) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

func TestKernelsErrorsAreErrnos(t *testing.T) {
	needKernel(t)
	msg, err := request{family: unix.AF_UNIX + 100, states: Set(Listen)}.message(netlink.Dump, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = dump(t.Context(), msg, nil, func(message) error { return nil })
	var errno unix.Errno
	if !errors.As(err, &errno) {
		t.Errorf("got %v, want an errno inside", err)
	}
}
