package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/server/wire"
)

func TestMain(m *testing.M) { os.Exit(host.MainAlone(m)) }

// running is a server in a process of its own.
type running struct {
	cmd    *exec.Cmd
	ready  *net.UnixConn
	out    *bufio.Reader
	stderr bytes.Buffer
	done   chan error
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{ready: ready, done: make(chan error, 1)}
	r.cmd = exec.CommandContext(t.Context(), host.Build(t, "."), args...)
	r.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	r.cmd.Stderr = &r.stderr
	stdout, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.Stdout = w
	r.out = bufio.NewReader(stdout)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(func() {
		r.cmd.Process.Kill()
		ready.Close()
		stdout.Close()
	})
	return r
}

// addr returns the next listener that the server prints, at loopback.
func (r *running) addr(t *testing.T) string {
	t.Helper()
	line, err := r.out.ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		t.Fatalf("the server prints %q (%v)", line, err)
	}
	return strings.Replace(strings.Replace(addr, "[::]", "localhost", 1), "0.0.0.0", "127.0.0.1", 1)
}

// isReady says whether READY=1 comes within d.
func (r *running) isReady(d time.Duration) bool {
	r.ready.SetReadDeadline(time.Now().Add(d))
	b := make([]byte, 64)
	n, err := r.ready.Read(b)
	return err == nil && string(b[:n]) == "READY=1"
}

func (r *running) exit(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not end")
		return nil
	}
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(b)
}

func TestAnswers(t *testing.T) {
	s := start(t, "-version", "v7")
	addr := s.addr(t)
	if !s.isReady(10 * time.Second) {
		t.Fatal("no READY=1")
	}
	for path, want := range map[string]string{"/version": "v7\n", "/healthz": "healthy\n"} {
		r, body := get(t, "http://"+addr+path)
		if r.StatusCode != 200 || body != want || r.Header.Get(wire.VersionHeader) != "v7" {
			t.Errorf("GET %s: %s, version %q, %q", path, r.Status, r.Header.Get(wire.VersionHeader), body)
		}
	}
	_, body := get(t, "http://"+addr+"/stream?seconds=0.2")
	want := make([]byte, wire.StreamLength(200*time.Millisecond))
	wire.Fill(want, 0)
	if body != string(want) {
		t.Errorf("the stream has %d bytes and they are not those %d", len(body), len(want))
	}
	if r, _ := get(t, "http://"+addr+"/stream?seconds=x"); r.StatusCode != 400 {
		t.Errorf("a bad stream: %s", r.Status)
	}

	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("GET /echo: %v, %v", r, err)
	}
	fmt.Fprint(c, "hello")
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
		t.Errorf("the echo is %q, %v", b, err)
	}
}

func TestListeners(t *testing.T) {
	s := start(t, "-mode", "two-listeners", "-listen", "tcp4:0.0.0.0:0", "-listen", "tcp6:[::1]:0", "-listen", "127.0.0.1:0")
	var v4, v6 int
	for range 4 {
		addr := s.addr(t)
		if strings.HasPrefix(addr, "[::1]") {
			v6++
		} else if strings.HasPrefix(addr, "127.0.0.1") {
			v4++
		}
		if _, body := get(t, "http://"+addr+"/version"); body != "v1\n" {
			t.Errorf("at %s: %q", addr, body)
		}
	}
	if v4 != 2 || v6 != 1 {
		t.Errorf("%d IPv4 and %d IPv6 listeners", v4, v6)
	}
}

func TestBacklog(t *testing.T) {
	s := start(t, "-mode", "never-accepts")
	s.addr(t)
	out, err := exec.CommandContext(t.Context(), "ss", "-Hltn").CombinedOutput()
	if err != nil || !strings.Contains(string(out), fmt.Sprint(backlog)) {
		t.Errorf("no listener with a backlog of %d: %s %v", backlog, out, err)
	}
}

func TestModes(t *testing.T) {
	t.Run("ready after", func(t *testing.T) {
		t.Parallel()
		s := start(t, "-ready-after", "300ms")
		s.addr(t)
		if s.isReady(150 * time.Millisecond) {
			t.Error("ready too early")
		}
		if !s.isReady(10 * time.Second) {
			t.Error("never ready")
		}
	})
	t.Run("never ready", func(t *testing.T) {
		t.Parallel()
		s := start(t, "-mode", "never-ready")
		get(t, "http://"+s.addr(t)+"/version")
		if s.isReady(200 * time.Millisecond) {
			t.Error("ready")
		}
	})
	t.Run("no notify", func(t *testing.T) {
		t.Parallel()
		s := start(t, "-notify=false")
		get(t, "http://"+s.addr(t)+"/version")
		if s.isReady(200 * time.Millisecond) {
			t.Error("ready")
		}
	})
	t.Run("exit before ready", func(t *testing.T) {
		t.Parallel()
		s := start(t, "-mode", "exit-before-ready", "-ready-after", "50ms")
		s.addr(t)
		if err := s.exit(t); err == nil || !strings.Contains(s.stderr.String(), "as told") {
			t.Errorf("ended with %v: %s", err, &s.stderr)
		}
		if s.isReady(50 * time.Millisecond) {
			t.Error("ready")
		}
	})
	t.Run("no listener", func(t *testing.T) {
		t.Parallel()
		s := start(t, "-mode", "no-listener")
		if !s.isReady(10 * time.Second) {
			t.Error("never ready")
		}
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.exit(t)
		if line, err := s.out.ReadString('\n'); err != io.EOF {
			t.Errorf("printed %q, %v", line, err)
		}
	})
	t.Run("dies after", func(t *testing.T) {
		t.Parallel()
		s := start(t, "-mode", "dies-after", "-die-after", "100ms")
		s.addr(t)
		if !s.isReady(10 * time.Second) {
			t.Error("never ready")
		}
		if err := s.exit(t); err == nil {
			t.Error("ended well")
		}
	})
	t.Run("unhealthy", func(t *testing.T) {
		t.Parallel()
		s := start(t, "-mode", "unhealthy")
		addr := s.addr(t)
		if r, _ := get(t, "http://"+addr+"/healthz"); r.StatusCode != 503 {
			t.Errorf("/healthz: %s", r.Status)
		}
		get(t, "http://"+addr+"/version")
	})
	t.Run("never accepts", func(t *testing.T) {
		t.Parallel()
		s := start(t, "-mode", "never-accepts")
		c, err := net.Dial("tcp", s.addr(t))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %d bytes, %v", n, err)
		}
	})
	t.Run("slow accept", func(t *testing.T) {
		t.Parallel()
		s := start(t, "-mode", "slow-accept")
		addr := s.addr(t)
		begin := time.Now()
		for range 5 {
			get(t, "http://"+addr+"/version")
		}
		if took := time.Since(begin); took < 200*time.Millisecond {
			t.Errorf("5 connections were accepted in %v", took)
		}
		s.cmd.Process.Signal(syscall.SIGTERM)
		if err := s.exit(t); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestSIGTERM(t *testing.T) {
	for _, c := range []struct {
		mode     string
		finishes bool
	}{{"quick", true}, {"abrupt", false}} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			s := start(t, "-mode", c.mode)
			conn, err := net.Dial("tcp", s.addr(t))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if !s.isReady(10 * time.Second) {
				t.Fatal("never ready")
			}
			fmt.Fprint(conn, "GET /stream?seconds=0.5 HTTP/1.1\r\nHost: x\r\n\r\n")
			in := bufio.NewReader(conn)
			r, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			s.cmd.Process.Signal(syscall.SIGTERM)
			n, err := io.Copy(io.Discard, r.Body)
			if finished := err == nil && n == wire.StreamLength(500*time.Millisecond); finished != c.finishes {
				t.Errorf("the client got %d bytes, %v", n, err)
			}
			if err := s.exit(t); err != nil {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestResetting(t *testing.T) {
	s := start(t, "-mode", "resetting")
	addr := s.addr(t)
	const total = 400
	resets := 0
	for range total {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		b, err := io.ReadAll(c)
		c.Close()
		if strings.HasSuffix(string(b), "v1\n") && err == nil {
			continue
		}
		resets++
		if string(b) != string(wire.Reset) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %q, %v", b, err)
		}
	}
	if want := total / doomed; resets != want {
		t.Errorf("%d of %d connections were reset, want %d", resets, total, want)
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		want string
	}{
		{"-mode nonsense", "no mode"},
		{"nonsense", "unexpected argument"},
		{"-listen nonsense", "listen"},
	} {
		var out bytes.Buffer
		if err := run(strings.Fields(c.args), &out, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.args, err)
		}
	}
}

func TestFillTellsWhereAByteBelongs(t *testing.T) {
	const n = 1 << 20
	whole := make([]byte, n)
	wire.Fill(whole, 0)
	part := make([]byte, 4096)
	for _, offset := range []int64{0, 1, 255, 256, 4096, 65536, n - 4096} {
		wire.Fill(part, offset)
		if !bytes.Equal(part, whole[offset:offset+4096]) {
			t.Errorf("the part from %d is not that of the whole", offset)
		}
		for _, shift := range []int64{1, 256, wire.Chunk, 65536} {
			if o := offset + shift; o+4096 <= n && bytes.Equal(part, whole[o:o+4096]) {
				t.Errorf("the part from %d is the same as that from %d", offset, o)
			}
		}
	}
}
