package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/sockdiag"
	"golang.org/x/sys/unix"
)

func listen(t testing.TB, network, addr string) (*net.TCPListener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener), netip.MustParseAddrPort(l.Addr().String())
}

// serve accepts until the listener closes and hands over each connection.
func serve(t testing.TB, l net.Listener, handle func(*net.TCPConn)) {
	t.Helper()
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			handle(c.(*net.TCPConn))
		}
	}()
}

// keep never closes: the connections end with the test.
func keep(t testing.TB) func(*net.TCPConn) {
	return func(c *net.TCPConn) { t.Cleanup(func() { c.Close() }) }
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestTCPAccepted(t *testing.T) {
	needKernel(t)
	for _, c := range []struct{ network, addr string }{
		{"tcp4", "127.0.0.1:0"},
		{"tcp4", "127.0.0.9:0"},
		{"tcp4", "0.0.0.0:0"},
		{"tcp6", "[::1]:0"},
		{"tcp6", "[::]:0"},
		{"tcp", "[::]:0"},
	} {
		t.Run(c.network+" "+c.addr, func(t *testing.T) {
			l, addr := listen(t, c.network, c.addr)
			serve(t, l, keep(t))
			if err := TCP(within(t, 5*time.Second), addr); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTCPOfAServerThatEndsTheConnection(t *testing.T) {
	needKernel(t)
	for name, handle := range map[string]func(*net.TCPConn){
		"closes": func(c *net.TCPConn) { c.Close() },
		"resets": func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		"greets, then closes": func(c *net.TCPConn) {
			io.WriteString(c, "220 hello\r\n")
			c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, addr := listen(t, "tcp", "[::]:0")
			serve(t, l, handle)
			for range 50 { // it may end before or after the first look
				if err := TCP(within(t, 5*time.Second), addr); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestTCPNotAccepted(t *testing.T) {
	needKernel(t)
	_, addr := listen(t, "tcp", "[::]:0")
	err := TCP(within(t, 100*time.Millisecond), addr)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the deadline", err)
	}
	for _, part := range []string{"connected to " + addr.String() + ", but not accepted within 1", "is the server's accept loop stuck?"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %q", part, err)
		}
	}
}

func TestTCPCancelled(t *testing.T) {
	needKernel(t)
	_, addr := listen(t, "tcp", "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := TCP(ctx, addr); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestTCPAcceptedLate(t *testing.T) {
	needKernel(t)
	l, addr := listen(t, "tcp", "127.0.0.1:0")
	begun := time.Now()
	time.AfterFunc(150*time.Millisecond, func() { serve(t, l, keep(t)) })
	if err := TCP(within(t, 5*time.Second), addr); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < 150*time.Millisecond {
		t.Errorf("accepted after %s, before there was an accept", took)
	}
}

func TestTCPRefused(t *testing.T) {
	needKernel(t)
	err := TCP(within(t, time.Second), netip.MustParseAddrPort("127.0.0.1:9"))
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("got %v, want ECONNREFUSED", err)
	}
}

// A reset because the listener closed is no acceptance.
func TestTCPListenerCloses(t *testing.T) {
	needKernel(t)
	l, addr := listen(t, "tcp", "127.0.0.1:0")
	time.AfterFunc(50*time.Millisecond, func() { l.Close() })
	err := TCP(within(t, 5*time.Second), addr)
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that the listener closed", err)
	}
}

// The client may be connected before the server's end exists: the last packet
// of the handshake is lost here, with and without SYN cookies.
func TestTCPHandshakeNotComplete(t *testing.T) {
	needKernel(t)
	cookies := "/proc/sys/net/ipv4/tcp_syncookies"
	for _, mode := range []string{"0", "2"} { // 2: always
		t.Run("syncookies "+mode, func(t *testing.T) {
			if err := os.WriteFile(cookies, []byte(mode), 0); err != nil {
				t.Fatal(err)
			}
			l, addr := listen(t, "tcp4", "127.0.0.1:0")
			serve(t, l, keep(t))
			command(t, "nft", fmt.Sprintf(`add table inet lossy; add chain inet lossy in { type filter hook input priority 0; }
				add rule inet lossy in tcp dport %d tcp flags & (syn|ack) == ack drop`, addr.Port()))
			defer command(t, "nft", "delete table inet lossy")
			err := TCP(within(t, 200*time.Millisecond), addr)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not accepted") {
				t.Errorf("got %v, want that it was not accepted", err)
			}
		})
	}
}

func TestTCPFullBacklog(t *testing.T) {
	needKernel(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(
		unix.Bind(fd, &unix.SockaddrInet4{Port: 7100, Addr: [4]byte{127, 0, 0, 1}}),
		unix.Listen(fd, 0),
	); err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort("127.0.0.1:7100")
	err = TCP(within(t, 100*time.Millisecond), addr)
	if err == nil || !strings.Contains(err.Error(), "not accepted") {
		t.Fatalf("first: got %v, want that it was not accepted", err)
	}
	err = TCP(within(t, 100*time.Millisecond), addr)
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "backlog") {
		t.Errorf("second: got %v, want a deadline and a word about the backlog", err)
	}
}

// The server sees the probe end in order: end of file, and no error, even where
// it greets.
func TestTCPLeavesInOrder(t *testing.T) {
	needKernel(t)
	for name, greeting := range map[string]string{"silent server": "", "server that greets": "220 hello\r\n"} {
		t.Run(name, func(t *testing.T) {
			l, addr := listen(t, "tcp", "127.0.0.1:0")
			ended := make(chan error, 1)
			serve(t, l, func(c *net.TCPConn) {
				defer c.Close()
				io.WriteString(c, greeting)
				_, err := bufio.NewReader(c).ReadByte()
				ended <- err
			})
			if err := TCP(within(t, 5*time.Second), addr); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != io.EOF {
				t.Errorf("the server read %v, want EOF", err)
			}
			n, err := sockdiag.Live(t.Context(), addr.Port())
			if err != nil || n[addr.Port()] != 0 {
				t.Errorf("%d sockets left, %v", n[addr.Port()], err)
			}
		})
	}
}

func TestReachable(t *testing.T) {
	for addr, want := range map[string]string{
		"0.0.0.0:80":   "[127.0.0.1:80]",
		"[::]:80":      "[[::1]:80 127.0.0.1:80]",
		"192.0.2.1:80": "[192.0.2.1:80]",
	} {
		if got := fmt.Sprint(reachable(netip.MustParseAddrPort(addr))); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
}

// [::] where loopback has no IPv6.
func TestTCPWithoutIPv6OnLoopback(t *testing.T) {
	needKernel(t)
	const disable = "/proc/sys/net/ipv6/conf/lo/disable_ipv6"
	l, addr := listen(t, "tcp", "[::]:0")
	serve(t, l, keep(t))
	if err := os.WriteFile(disable, []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(disable, []byte("0"), 0)
	if err := TCP(within(t, 5*time.Second), addr); err != nil {
		t.Error(err)
	}
}
