package sockdiag

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// listen opens a listener with a backlog; network is tcp, tcp4 or tcp6.
func listen(t testing.TB, network, addr string) *net.TCPListener {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

func portOf(l net.Listener) uint16 { return netip.MustParseAddrPort(l.Addr().String()).Port() }

func inode(t testing.TB, c syscall.Conn) uint32 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) })
	if err != nil {
		t.Fatal(err)
	}
	return uint32(st.Ino)
}

func TestListeners(t *testing.T) {
	needKernel(t)
	ctx := t.Context()
	var want []Listener
	for _, c := range []struct {
		network, addr string
		bound         string
		v6only        bool
	}{
		{"tcp4", "0.0.0.0:7001", "0.0.0.0:7001", false},
		{"tcp4", "127.0.0.1:7002", "127.0.0.1:7002", false},
		{"tcp", ":7003", "[::]:7003", false},
		{"tcp6", "[::]:7004", "[::]:7004", true},
		{"tcp6", "[::1]:7005", "[::1]:7005", true},
		{"tcp4", "0.0.0.0:7006", "0.0.0.0:7006", false},
		{"tcp6", "[::]:7006", "[::]:7006", true},
	} {
		l := listen(t, c.network, c.addr)
		want = append(want, Listener{
			Addr:   netip.MustParseAddrPort(c.bound),
			V6Only: c.v6only,
			Inode:  inode(t, l),
			UID:    uint32(os.Geteuid()),
		})
	}
	ignore := cmp.FilterPath(func(p cmp.Path) bool {
		name := p.Last().String()
		return name == ".CgroupID" || name == ".Backlog"
	}, cmp.Ignore())
	opts := cmp.Options{ignore, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })}

	got, err := Listeners(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	for _, l := range got {
		if l.Backlog == 0 {
			t.Errorf("%s: no backlog", l.Addr)
		}
	}

	many := []uint16{7001, 7002, 7003, 7004, 7005, 7006}
	for port := uint16(8000); len(many) <= maxCompared; port++ {
		many = append(many, port)
	}
	for name, c := range map[string]struct {
		ports []uint16
		want  []Listener
	}{
		"none":                 {nil, nil},
		"one":                  {[]uint16{7002}, want[1:2]},
		"one of both families": {[]uint16{7006}, want[5:7]},
		"nothing there":        {[]uint16{7999}, nil},
		"two, unsorted, twice": {[]uint16{7003, 7001, 7003}, []Listener{want[0], want[2]}},
		"three":                {[]uint16{7001, 7003, 7005}, []Listener{want[0], want[2], want[4]}},
		"more than compared":   {many, want},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ListenersOn(ctx, c.ports...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, opts); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A range given to the kernel must not let the ports between through.
func TestRangeIsExact(t *testing.T) {
	needKernel(t)
	listen(t, "tcp", ":7050")
	var odd []uint16
	for port := uint16(7001); len(odd) <= maxCompared; port += 2 {
		odd = append(odd, port)
	}
	got, err := ListenersOn(t.Context(), odd...)
	if err != nil || len(got) != 0 {
		t.Fatalf("got %v, %v; want none", got, err)
	}
}

// unit finds an instance's listeners by this number.
func TestCgroupIDIsTheDirectorysInode(t *testing.T) {
	needKernel(t)
	home := ownCgroup(t)
	leaf, err := os.MkdirTemp(home, "sockdiag-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(leaf) })
	t.Cleanup(func() { enterCgroup(t, home) })
	before := listen(t, "tcp", "127.0.0.1:0")
	enterCgroup(t, leaf)
	after := listen(t, "tcp", "127.0.0.1:0")

	for dir, l := range map[string]net.Listener{home: before, leaf: after} {
		var st unix.Stat_t
		if err := unix.Stat(dir, &st); err != nil {
			t.Fatal(err)
		}
		got, err := ListenersOn(t.Context(), portOf(l))
		if err != nil || len(got) != 1 {
			t.Fatalf("got %v, %v; want one", got, err)
		}
		if got[0].CgroupID != st.Ino {
			t.Errorf("CgroupID %d, want %d, the inode of %s", got[0].CgroupID, st.Ino, dir)
		}
	}
}

// ownCgroup returns the directory of this process in a cgroup2 file system,
// which the private mount namespace gets for it.
func ownCgroup(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := unix.Mount("none", root, "cgroup2", 0, ""); err != nil {
		t.Fatal("mount cgroup2:", err)
	}
	t.Cleanup(func() { unix.Unmount(root, unix.MNT_DETACH) })
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(self)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return filepath.Join(root, strings.TrimSpace(path))
		}
	}
	t.Fatalf("no cgroup2 path in %q", self)
	return ""
}

func enterCgroup(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0); err != nil {
		t.Error(err)
	}
}

func TestQueueIsWhatAwaitsAccept(t *testing.T) {
	needKernel(t)
	for _, network := range []string{"tcp4", "tcp6", "tcp"} {
		t.Run(network, func(t *testing.T) {
			addr := map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "tcp": "[::]:0"}[network]
			l := listen(t, network, addr)
			port := portOf(l)
			dialAddr := l.Addr().String()
			if network == "tcp" {
				dialAddr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String()
			}
			queue := func() uint32 {
				ls, err := ListenersOn(t.Context(), port)
				if err != nil || len(ls) != 1 {
					t.Fatalf("got %v, %v; want one", ls, err)
				}
				return ls[0].Queue
			}
			for range 3 {
				c, err := net.Dial("tcp", dialAddr)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
			eventually(t, func() bool { return queue() == 3 })
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if n := queue(); n != 2 {
				t.Errorf("queue %d after one accept of three, want 2", n)
			}
		})
	}
}

func TestLinkLocalListenerCanBeDialled(t *testing.T) {
	needKernel(t)
	command(t, "ip", "link", "add", "test0", "type", "veth", "peer", "name", "test1")
	t.Cleanup(func() { command(t, "ip", "link", "del", "test0") })
	command(t, "ip", "link", "set", "test0", "up")
	command(t, "ip", "link", "set", "test1", "up")
	command(t, "ip", "addr", "add", "fe80::77/64", "dev", "test0", "nodad")
	iface, err := net.InterfaceByName("test0")
	if err != nil {
		t.Fatal(err)
	}
	// By index: package net would remember that of a former test0.
	l := listen(t, "tcp6", fmt.Sprintf("[fe80::77%%%d]:0", iface.Index))
	got, err := ListenersOn(t.Context(), portOf(l))
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v; want one", got, err)
	}
	c, err := net.Dial("tcp", got[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, zone := range []string{"test0", got[0].Addr.Addr().Zone()} {
		local := netip.AddrPortFrom(got[0].Addr.Addr().WithZone(zone), portOf(l))
		if _, ok, err := Find(t.Context(), local, addrPort(c.LocalAddr())); !ok || err != nil {
			t.Errorf("Find by zone %q: %v, %v", zone, ok, err)
		}
	}
}

func TestContextEndsIt(t *testing.T) {
	needKernel(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Listeners(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
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
