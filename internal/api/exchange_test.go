package api

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair returns the two ends of a connection.
func pair(t *testing.T) (a, b *RightsConn) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		dialled.Close()
		accepted.Close()
	})
	return &RightsConn{UnixConn: dialled}, &RightsConn{UnixConn: accepted}
}

// What is sent with the first bytes comes with them, in order, and is closed
// when this process runs another program.
func TestRightsConn(t *testing.T) {
	a, b := pair(t)
	const n = 3
	var files []*os.File
	for range n {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		files = append(files, w)
	}
	a.Send(files)
	for _, text := range []string{"one", "two"} {
		if _, err := a.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	a.Close()
	got, err := io.ReadAll(b)
	if err != nil || string(got) != "onetwo" {
		t.Errorf("%q, %v", got, err)
	}
	came := b.Take()
	if len(came) != n || len(b.Take()) != 0 {
		t.Fatalf("%d files", len(came))
	}
	for i, f := range came {
		defer f.Close()
		var mine, theirs unix.Stat_t
		flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("flags %x, %v", flags, err)
		}
		if unix.Fstat(int(files[i].Fd()), &mine) != nil || unix.Fstat(int(f.Fd()), &theirs) != nil || mine.Ino != theirs.Ino {
			t.Errorf("file %d is another one", i)
		}
	}
}

// More than anybody has a use for are closed.
func TestRightsConnTooMany(t *testing.T) {
	a, b := pair(t)
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := descriptors(t)
	for range 3 {
		many := make([]*os.File, MaxListeners)
		for i := range many {
			many[i] = f
		}
		a.Send(many)
		if _, err := a.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if n := descriptors(t) - before; n != MaxListeners {
		t.Errorf("%d are open", n)
	}
	closeAll(b.Take())
	if n := descriptors(t) - before; n != 0 {
		t.Errorf("%d are still open", n)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// A read that fails returns what a reader may return.
func TestRightsConnErrors(t *testing.T) {
	a, b := pair(t)
	b.SetReadDeadline(time.Unix(1, 0))
	if n, err := b.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	b.SetReadDeadline(time.Time{})
	a.Close()
	if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b.Send([]*os.File{f})
	if n, err := b.Write([]byte("x")); n != 0 || !errors.Is(err, unix.EPIPE) {
		t.Errorf("to nobody: %d, %v", n, err)
	}
}
