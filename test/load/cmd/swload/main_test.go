package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
	"github.com/switcheroo/switcheroo/test/server/wire"
)

func TestMain(m *testing.M) { os.Exit(host.MainAlone(m)) }

// answering starts a server that answers as those under test do.
func answering(t *testing.T, version string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.VersionHeader, version)
		io.WriteString(w, version+"\n")
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// refusing returns an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

func TestExitStatus(t *testing.T) {
	good, gone := answering(t, "v1"), refusing(t)
	for _, c := range []struct {
		args   string
		want   int
		stderr string
	}{
		{"", exitUsage, "usage"},
		{"nonsense", exitUsage, "usage"},
		{"once", exitUsage, "usage"},
		{"run -target " + good + " -short 1", exitUsage, "duration"},
		{"run -target " + good + " -short 1 -duration 1s extra", exitUsage, "extra"},
		{"run -source-ports 5", exitUsage, "no range"},
		{"run -target " + good + " -short 1 -duration 1s -protocol gopher", exitUsage, "gopher"},
		{"once " + good, 0, ""},
		{"once " + gone, exitFailed, "refused"},
		{"hold " + gone, exitFailed, "refused"},
		{"run -target " + good + " -short 1 -duration 1m -connections 5 -slow-connect -1ns", 0, ""},
		{"run -target " + gone + " -short 1 -duration 1m -connections 2", exitFailed, "2 connections failed"},
		{"run -target " + good + " -short 1 -duration 1m -connections 1 -source-ports " + onlyPort(t), exitInvalid, "themselves"},
	} {
		var stdout, stderr bytes.Buffer
		if got := run(t.Context(), strings.Fields(c.args), strings.NewReader(""), &stdout, &stderr); got != c.want || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("swload %s: exit status %d, want %d: %s", c.args, got, c.want, &stderr)
		}
	}
}

// onlyPort returns a range of one port, which is in use.
func onlyPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port + "-" + port
}

func TestRunPrintsEvents(t *testing.T) {
	var stdout, stderr bytes.Buffer
	addr := answering(t, "v1")
	args := []string{"run", "-progress", "-table", "-target", addr, "-short=1", "-keepalive=1", "-rate=50", "-duration=1100ms",
		"-pause=5ms", "-seed=7", "-samples", "-slow-connect=-1ns"}
	if status := run(t.Context(), args, nil, &stdout, &stderr); status != 0 {
		t.Fatalf("exit status %d: %s", status, &stderr)
	}
	seen := 0
	r, err := load.Decode(&stdout, func(*load.Result) { seen++ })
	if err != nil || seen == 0 {
		t.Fatalf("%d times progress, %v", seen, err)
	}
	if r.Total().Versions["v1"] == 0 || len(r.Kinds) != 2 {
		t.Errorf("the result is %+v", r.Total())
	}
	if r.Seed != 7 || int64(r.Samples.Len()) != r.Total().Requests {
		t.Errorf("seed %d, %d samples of %d requests", r.Seed, r.Samples.Len(), r.Total().Requests)
	}
	for _, want := range []string{"connections", "keep-alive", "served by: v1"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, &stderr)
		}
	}
}

func TestOnce(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"once", answering(t, "v9")}, nil, &stdout, &stderr); status != 0 || stdout.String() != "v9\n" {
		t.Errorf("exit status %d, %q, %s", status, &stdout, &stderr)
	}
}

func TestHold(t *testing.T) {
	stdin, lines := io.Pipe()
	said, stdout := io.Pipe()
	var stderr bytes.Buffer
	status := make(chan int, 1)
	addr := answering(t, "v2")
	go func() { status <- run(t.Context(), []string{"hold", addr}, stdin, stdout, &stderr) }()
	out := bufio.NewReader(said)
	if local, err := out.ReadString('\n'); err != nil || !strings.HasPrefix(local, "127.0.0.1:") {
		t.Fatalf("it says %q, %v", local, err)
	}
	for range 3 {
		io.WriteString(lines, "\n")
		if version, err := out.ReadString('\n'); err != nil || version != "v2\n" {
			t.Errorf("it says %q, %v", version, err)
		}
	}
	lines.Close()
	if s := <-status; s != 0 {
		t.Errorf("exit status %d: %s", s, &stderr)
	}
}

func TestHoldEndsWithItsContext(t *testing.T) {
	stdin, _ := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	said, stdout := io.Pipe()
	status := make(chan int, 1)
	addr := answering(t, "v2")
	go func() { status <- run(ctx, []string{"hold", addr}, stdin, stdout, io.Discard) }()
	if _, err := bufio.NewReader(said).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	cancel()
	if s := <-status; s != 0 {
		t.Errorf("exit status %d", s)
	}
}

func TestSIGTERMEndsARun(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), host.Build(t, "."), "run", "-progress", "-target", answering(t, "v1"), "-keepalive=2", "-pause=5ms", "-duration=10m", "-slow-connect=-1ns")
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	r, err := load.Decode(out, func(*load.Result) { cmd.Process.Signal(syscall.SIGTERM) })
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > time.Minute || r.Failed() > 0 || r.Total().Requests == 0 {
		t.Errorf("after %v: %d requests, failures %v", took, r.Total().Requests, r.Failures)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
