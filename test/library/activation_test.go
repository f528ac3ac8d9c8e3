package library

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Started with a listener (LISTEN_FDS), as under the daemon, either API uses it,
// says READY=1, and runs no iptables at all.
func TestPassedListener(t *testing.T) {
	s := set(t, "nft")
	for _, api := range []string{"idiomatic", "compatible"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		path := filepath.Join(t.TempDir(), "notify")
		notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer notify.Close()
		// Not in the stage: there would be no way to the listener. Without a
		// PATH it has no iptables.
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `export LISTEN_PID=$$; exec "$@"`, "sh", s.app, "-version", "passed", "-api", api)
		cmd.Env = []string{"PATH=/nowhere", "LISTEN_FDS=1", "NOTIFY_SOCKET=" + path}
		cmd.ExtraFiles = []*os.File{file}
		var log lockedBuffer
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		notify.SetReadDeadline(time.Now().Add(patience))
		b := make([]byte, 100)
		n, err := notify.Read(b)
		if err != nil || string(b[:n]) != "READY=1" {
			t.Errorf("%s: notified of %q, %v: %s", api, b[:n], err, &log)
		}
		out, err := exec.CommandContext(t.Context(), "curl", "-sS", "-m", "10", "http://"+l.Addr().String()+"/version").CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "passed" {
			t.Errorf("%s: answered by %q, %v", api, out, err)
		}
		// Nor does it touch a rule to clean up: there is no iptables here.
		clean := exec.CommandContext(t.Context(), "/bin/sh", "-c", `export LISTEN_PID=$$; exec "$@"`, "sh", s.app, "-cleanup")
		clean.Env, clean.ExtraFiles = cmd.Env, cmd.ExtraFiles
		if out, err := clean.CombinedOutput(); err != nil {
			t.Errorf("%s: clean up: %v: %s", api, err, out)
		}
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: ended with %v: %s", api, err, &log)
		}
		if err := containsAll(log.String(), "listening", "ready", "done"); err != nil {
			t.Error(api, err)
		}
	}
}

// Without a listener, but under a service manager that wants to know: READY=1
// once new connections come.
func TestNotify(t *testing.T) {
	s := set(t, "nft")
	path := filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	s.start("/usr/bin/env", "NOTIFY_SOCKET="+path, s.app)
	notify.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 100)
	if n, err := notify.Read(b); err != nil || string(b[:n]) != "READY=1" {
		t.Errorf("notified of %q, %v", b[:n], err)
	}
	s.answers("v1")
}
