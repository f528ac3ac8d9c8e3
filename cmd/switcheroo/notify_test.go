package main

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// said starts to listen for what processes of the command say, and returns a
// channel of its READY=1.
func said(t *testing.T, n *notifySocket, pid int) <-chan struct{} {
	t.Helper()
	ready, done := make(chan struct{}, 10), make(chan struct{})
	go func() {
		defer close(done)
		n.listen(pid, func() { ready <- struct{}{} })
	}()
	t.Cleanup(func() {
		n.close()
		<-done
	})
	return ready
}

func waitFor(t *testing.T, ready <-chan struct{}) {
	t.Helper()
	select {
	case <-ready:
	case <-time.After(20 * time.Second):
		t.Fatal("no READY=1")
	}
}

// send is a python program that says its second argument to the NOTIFY_SOCKET,
// and ends when it has read a line.
const send = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(sys.argv[1].encode(), os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
sys.stdin.readline()
`

func TestReadyFromTheCommand(t *testing.T) {
	n, err := newNotifySocket()
	if err != nil {
		t.Fatal(err)
	}
	// From a process below the command's first one.
	c := command{args: []string{"sh", "-c", `sleep 1000 | python3 -c "$1" "STATUS=warming up
READY=1
"; :`, "sh", send}, notify: n.address}
	p, _ := launch(t, c)
	waitFor(t, said(t, n, p.pid))
	if got := n.said(); got != "warming up" {
		t.Errorf("status %q", got)
	}
}

// systemd-notify's barrier is a file descriptor that the receiver closes.
func TestReadyFromSystemdNotify(t *testing.T) {
	n, err := newNotifySocket()
	if err != nil {
		t.Fatal(err)
	}
	c := command{args: []string{"sh", "-c", "systemd-notify --ready; echo $?; sleep 1000"}, notify: n.address}
	p, out := launch(t, c)
	ready := said(t, n, p.pid)
	newLines(out).want(t, "0")
	waitFor(t, ready)
}

func TestReadyFromOthersDoesNotCount(t *testing.T) {
	n, err := newNotifySocket()
	if err != nil {
		t.Fatal(err)
	}
	p, _ := launch(t, command{args: []string{"sleep", "1000"}, notify: n.address})
	ready := said(t, n, p.pid)
	// This process is the command's parent, and another one is none of its
	// family; garbage does no harm.
	conn, err := net.Dial("unixgram", n.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, text := range []string{"READY=1", "", strings.Repeat("x", 100_000), "STATUS=mine", "\x00\n=\n"} {
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	other := exec.CommandContext(t.Context(), "python3", "-c", send, "READY=1")
	other.Env = append(os.Environ(), "NOTIFY_SOCKET="+n.address)
	other.Stdin = strings.NewReader("\n")
	if out, err := other.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The socket is read in order: once the command's own has come, the
	// others have been passed over.
	mine, _ := launch(t, command{args: []string{"python3", "-c", send, "READY=1"}, notify: n.address})
	if descends(mine.pid, p.pid) {
		t.Error("one command is taken for part of another")
	}
	if !descends(p.pid, p.pid) || descends(os.Getpid(), p.pid) || descends(1, p.pid) {
		t.Error("who is of the command is mistaken")
	}
	select {
	case <-ready:
		t.Error("others can say READY=1")
	case <-mine.done:
	}
	if got := n.said(); got != "" {
		t.Errorf("others can set the status: %q", got)
	}
}

func TestParseNotification(t *testing.T) {
	for message, want := range map[string]struct {
		ready  bool
		status string
	}{
		"READY=1":                            {true, ""},
		"STATUS=loading\nREADY=1\nMAINPID=7": {true, "loading"},
		"READY=1\nREADY=0":                   {true, ""},
		"READY=0":                            {},
		"READY":                              {},
		"XREADY=1":                           {},
		"STATUS=one\nSTATUS=a=b\n":           {false, "a=b"},
		"STATUS=READY=1":                     {false, "READY=1"},
		"":                                   {},
	} {
		if ready, status := parseNotification(message); ready != want.ready || status != want.status {
			t.Errorf("%q: %v, %q; want %v, %q", message, ready, status, want.ready, want.status)
		}
	}
}

// FuzzNotification: whatever is said, READY=1 counts as a line of its own only.
func FuzzNotification(f *testing.F) {
	for _, seed := range []string{"READY=1", "STATUS=x\nREADY=1\n", "\n\n=\x00", "STATUS=READY=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		ready, status := parseNotification(message)
		if ready != strings.Contains("\n"+message+"\n", "\nREADY=1\n") {
			t.Errorf("%q: ready is %v", message, ready)
		}
		if strings.Contains(status, "\n") {
			t.Errorf("%q: the status is %q", message, status)
		}
	})
}

// FuzzControl: garbage beside a message says nothing about its sender.
func FuzzControl(f *testing.F) {
	f.Add(unix.UnixCredentials(&unix.Ucred{Pid: 7}))
	f.Add([]byte("\x10"))
	f.Fuzz(func(t *testing.T, oob []byte) {
		// Not file descriptors, which would be closed: they may be the test's own.
		if messages, err := unix.ParseSocketControlMessage(oob); err == nil {
			for _, m := range messages {
				if m.Header.Type == unix.SCM_RIGHTS {
					t.Skip()
				}
			}
		}
		openControl(oob)
	})
}
