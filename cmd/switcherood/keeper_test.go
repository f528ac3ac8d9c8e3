package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func testKeeper(t *testing.T, passed map[string][]*os.File) *keeper {
	t.Setenv("NOTIFY_SOCKET", "")
	k := newKeeper(passed, slog.New(slog.DiscardHandler))
	t.Cleanup(k.close)
	return k
}

// tcp returns a TCP socket that is bound to a port of loopback's, and the port.
func tcp(t *testing.T, listen bool) (*os.File, uint16) {
	t.Helper()
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(s), "listener")
	t.Cleanup(func() { f.Close() })
	if err := unix.Bind(s, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if listen {
		if err := unix.Listen(s, 16); err != nil {
			t.Fatal(err)
		}
	}
	port, err := boundTo(f)
	if err != nil {
		t.Fatal(err)
	}
	return f, port
}

// A copy is the same listener: it outlives the one that it is of, and nothing
// about that is changed.
func TestKeeper(t *testing.T) {
	k := testKeeper(t, nil)
	f, port := tcp(t, true)
	if err := unix.SetNonblock(int(f.Fd()), true); err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice is once
		if err := k.Keep(t.Context(), "a", port, f); err != nil {
			t.Fatal(err)
		}
	}
	if kept := k.Kept(); len(kept) != 1 || kept["a"] != port {
		t.Errorf("%v", kept)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := k.Waiting(t.Context(), port); n != 1 || err != nil {
		t.Errorf("%d wait, %v", n, err)
	}
	copied, err := k.Copy("a")
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	err = onSocket(f, func(mine int) error {
		flags, err := unix.FcntlInt(uintptr(mine), unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("it blocks: %x, %v", flags, err)
		}
		return onSocket(copied, func(theirs int) error {
			if !sameSocket(mine, theirs) {
				t.Error("the copy is another socket")
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
	f.Close()
	copied.Close()
	if k.Free(port, true) || k.Free(port, false) {
		t.Error("its port is free")
	}
	if c, err = net.Dial("tcp", addr); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	k.Drop("a")
	if _, err = net.Dial("tcp", addr); err == nil {
		t.Error("it still listens")
	}
	if f, err := k.Copy("a"); f != nil || err != nil {
		t.Errorf("a copy of nothing: %v, %v", f, err)
	}
	k.Drop("a")
}

// What is no listener of this host's on that port is not kept, whoever says so.
func TestKeeperRefuses(t *testing.T) {
	k := testKeeper(t, nil)
	listens, port := tcp(t, true)
	bound, unheard := tcp(t, false)
	far, farPort := elsewhere(t)
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer other.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	datagrams, err := udp.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	var mptcp net.ListenConfig
	mptcp.SetMultipathTCP(true)
	multi, err := mptcp.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer multi.Close()
	multipath, err := multi.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer multipath.Close()
	for name, c := range map[string]struct {
		file *os.File
		port uint16
		want string
	}{
		"MPTCP":             {multipath, uint16(multi.Addr().(*net.TCPAddr).Port), "it is an MPTCP socket"},
		"another port":      {listens, port + 1, "it is bound to port"},
		"not listening":     {bound, unheard, "it does not listen"},
		"another namespace": {far, farPort, "it does not listen"},
		"a pipe":            {pipe, port, "it is no TCP socket"},
		"UDP":               {datagrams, port, "it is no TCP socket"},
	} {
		if err := k.Keep(t.Context(), "a", c.port, c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if kept := k.Kept(); len(kept) != 0 {
		t.Errorf("%v", kept)
	}
}

// elsewhere returns a listener of another network namespace.
func elsewhere(t *testing.T) (f *os.File, port uint16) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(s, &unix.SockaddrInet4{})
		}
		if err == nil {
			err = unix.Listen(s, 16)
		}
		f = os.NewFile(uintptr(s), "far")
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	port, err := boundTo(f)
	if err != nil {
		t.Fatal(err)
	}
	return f, port
}

// What an earlier daemon has put away is there again, and what is of no use is
// closed.
func TestKeeperInherits(t *testing.T) {
	f, port := tcp(t, true)
	again, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	useless, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	k := testKeeper(t, map[string][]*os.File{"a": {f, again}, "b": {useless}})
	if kept := k.Kept(); len(kept) != 1 || kept["a"] != port {
		t.Errorf("%v", kept)
	}
	for _, f := range []*os.File{f, again, useless} {
		if err := f.Close(); err == nil {
			t.Error("it was left open")
		}
	}
}

// A connection that is just over is in nobody's way, but another port is better.
func TestKeeperFree(t *testing.T) {
	k := testKeeper(t, nil)
	bound, port := tcp(t, false)
	if k.Free(port, true) || k.Free(port, false) {
		t.Error("what is bound is free")
	}
	bound.Close()
	if !k.Free(port, true) {
		t.Error("nothing is bound, and it is not free")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server.Close() // first, so TIME_WAIT is here
	io.ReadAll(c)
	c.Close()
	l.Close()
	port = uint16(l.Addr().(*net.TCPAddr).Port)
	if k.Free(port, true) || !k.Free(port, false) {
		t.Errorf("after a connection: quiet %v, free %v", k.Free(port, true), k.Free(port, false))
	}
}

// A service manager that does not read does not hold up the daemon for ever, and
// the copy is kept all the same for as long as it lives.
func TestKeeperWithoutAnswer(t *testing.T) {
	k := testKeeper(t, nil)
	path := t.TempDir() + "/notify"
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	f, port := tcp(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := k.Keep(ctx, "a", port, f); err != nil || k.Kept()["a"] != port {
		t.Errorf("%v, %v", k.Kept(), err)
	}
	var said []string
	for range 2 {
		b := make([]byte, 4096)
		n, err := manager.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(b[:n]))
	}
	if want := []string{"FDSTORE=1\nFDPOLL=0\nFDNAME=kept-a", "BARRIER=1"}; fmt.Sprint(said) != fmt.Sprint(want) {
		t.Errorf("%q", said)
	}
	k.Drop("a")
	b := make([]byte, 4096)
	if n, err := manager.Read(b); err != nil || string(b[:n]) != "FDSTOREREMOVE=1\nFDNAME=kept-a" {
		t.Errorf("%q, %v", b[:n], err)
	}
}
