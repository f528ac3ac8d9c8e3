package companion

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace of the test's own: one locked thread that
// runs what it is given. Sockets stay in the namespace that made them.
type namespace struct {
	calls chan func()
	path  string // of the namespace, for ip(8)
}

func newNamespace(t testing.TB) *namespace {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, for network namespaces and nftables")
	}
	n := &namespace{calls: make(chan func())}
	ready := make(chan error)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		n.path = fmt.Sprintf("/proc/%d/ns/net", unix.Gettid())
		ready <- err
		for f := range n.calls {
			f()
		}
	}()
	t.Cleanup(func() { close(n.calls); <-done })
	if err := <-ready; err != nil {
		t.Fatalf("unshare: %v", err)
	}
	n.run(t, "ip", "link", "set", "lo", "up")
	return n
}

// do runs f in n and waits for it.
func (n *namespace) do(f func()) {
	done := make(chan struct{})
	n.calls <- func() { defer close(done); f() }
	<-done
}

func (n *namespace) try(name string, args ...string) (string, error) {
	var out []byte
	var err error
	n.do(func() { out, err = exec.Command(name, args...).CombinedOutput() })
	return string(out), err
}

func (n *namespace) run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := n.try(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// script runs nft -f -.
func (n *namespace) script(t *testing.T, rules string) {
	t.Helper()
	var out []byte
	var err error
	n.do(func() {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(rules)
		out, err = cmd.CombinedOutput()
	})
	if err != nil {
		t.Fatalf("nft -f -: %v\n%s", err, out)
	}
}

func (n *namespace) open(t testing.TB, o Options) *Table {
	t.Helper()
	var table *Table
	var err error
	n.do(func() { table, err = Open(t.Context(), o) })
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { table.Close() })
	return table
}

// listen starts a server that hands each connection to handle.
func (n *namespace) listen(t *testing.T, address string, handle func(net.Conn)) net.Listener {
	t.Helper()
	var l net.Listener
	var err error
	n.do(func() {
		lc := net.ListenConfig{Control: reuseAddress}
		lc.SetMultipathTCP(false) // such a socket takes no packet filter
		l, err = lc.Listen(context.Background(), "tcp", address)
	})
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
	return l
}

// dial connects from sourcePort, or from one that the kernel chooses if 0. Only
// the socket is made on n's thread: others can use n while the dial waits.
func (n *namespace) dial(address string, sourcePort int, timeout time.Duration) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	domain := unix.AF_INET
	if to.Addr().Is6() {
		domain = unix.AF_INET6
	}
	fd := -1
	n.do(func() { fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), address)
	defer f.Close() // FileConn has its own copy
	sockaddr := func(a netip.AddrPort) unix.Sockaddr {
		if domain == unix.AF_INET {
			return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
		}
		return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	}
	limit := unix.NsecToTimeval(timeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err != nil {
		return nil, err
	}
	if sourcePort != 0 {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		from := netip.IPv4Unspecified()
		if domain == unix.AF_INET6 {
			from = netip.IPv6Unspecified()
		}
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, uint16(sourcePort)))); err != nil {
			return nil, os.NewSyscallError("bind", err)
		}
	}
	for {
		err := unix.Connect(fd, sockaddr(to))
		if err == unix.EINTR { // a signal of Go's own: ask again
			continue
		}
		if err != nil && err != unix.EISCONN {
			return nil, os.NewSyscallError("connect", err)
		}
		return net.FileConn(f)
	}
}

func reuseAddress(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
}

// hosts returns a server host (192.0.2.1, 2001:db8::1) and a client host.
func hosts(t *testing.T) (server, client *namespace) {
	t.Helper()
	server, client = newNamespace(t), newNamespace(t)
	server.run(t, "ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", client.path)
	for i, n := range []*namespace{server, client} {
		n.run(t, "ip", "addr", "add", fmt.Sprintf("192.0.2.%d/24", i+1), "dev", "veth0")
		n.run(t, "ip", "addr", "add", fmt.Sprintf("2001:db8::%d/64", i+1), "dev", "veth0", "nodad")
		n.run(t, "ip", "link", "set", "veth0", "up")
	}
	// The kernel takes an IPv6 address into use by and by, even without DAD:
	// until then connections to it leave the host.
	for i, n := range []*namespace{server, client} {
		address := fmt.Sprintf("2001:db8::%d", i+1)
		eventually(t, "IPv6 address", func() error {
			if route := n.run(t, "ip", "-6", "route", "get", address); !strings.HasPrefix(route, "local ") {
				return errors.New(route)
			}
			return nil
		})
	}
	return server, client
}
