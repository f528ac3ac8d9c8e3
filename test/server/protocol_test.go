package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/server/wire"
)

// Every way to say HTTP to the one port, and the version of it that results.
func TestHTTP(t *testing.T) {
	s := start(t, "-version", "v7")
	addr := s.addr(t)
	protocols := func(set ...func(*http.Protocols, bool)) *http.Protocols {
		var p http.Protocols
		for _, f := range set {
			f(&p, true)
		}
		return &p
	}
	for _, c := range []struct {
		name, scheme string
		protocols    *http.Protocols
		major        int
	}{
		{"h1", "http", protocols((*http.Protocols).SetHTTP1), 1},
		{"h2c", "http", protocols((*http.Protocols).SetUnencryptedHTTP2), 2},
		{"h1 in TLS", "https", protocols((*http.Protocols).SetHTTP1), 1},
		{"h2 in TLS", "https", protocols((*http.Protocols).SetHTTP2), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			transport := &http.Transport{Protocols: c.protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			defer transport.CloseIdleConnections()
			client := http.Client{Transport: transport, Timeout: 10 * time.Second}
			stream := make([]byte, wire.StreamLength(100*time.Millisecond))
			wire.Fill(stream, 0)
			for path, want := range map[string]string{"/version": "v7\n", "/healthz": "healthy\n", "/stream?seconds=0.1": string(stream)} {
				r, err := client.Get(c.scheme + "://" + addr + path)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(r.Body)
				r.Body.Close()
				if err != nil || string(body) != want || r.ProtoMajor != c.major || r.Header.Get(wire.VersionHeader) != "v7" {
					t.Errorf("%s: %s %s, %d bytes, version %q, %v", path, r.Proto, r.Status, len(body), r.Header.Get(wire.VersionHeader), err)
				}
			}
		})
	}
}

// dial connects, with a deadline for all that follows.
func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c, bufio.NewReader(c)
}

func TestEcho(t *testing.T) {
	s := start(t, "-version", "v7")
	addr := s.addr(t)
	sent := make([]byte, 300_000)
	wire.Fill(sent, 0)
	c, in := dial(t, addr)
	for _, part := range []string{"e", "ch", "o 3000", "00\n"} { // it may come in pieces
		fmt.Fprint(c, part)
		time.Sleep(time.Millisecond)
	}
	if version, err := in.ReadString('\n'); err != nil || version != "v7\n" {
		t.Fatalf("the version is %q, %v", version, err)
	}
	go c.Write(sent)
	got, err := io.ReadAll(in) // to the server's close
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}

	c, in = dial(t, addr)
	fmt.Fprintf(c, "echo -1\n")
	if line, _ := in.ReadString('\n'); !strings.Contains(line, "no echo") {
		t.Errorf("a bad line gets %q", line)
	}
}

func TestParseEcho(t *testing.T) {
	for line, want := range map[string]int64{
		"echo 0\n": 0, "echo 17\n": 17, "echo 1073741824\n": 1 << 30,
		"echo 1073741825\n": -1, "echo -1\n": -1, "echo 1": -1, "echo  1\n": -1, "echo 1 \n": -1, "echo +1\n": -1, "echo x\n": -1, "": -1,
	} {
		n, err := wire.ParseEcho(line)
		if err != nil {
			n = -1
		}
		if n != want {
			t.Errorf("%q is %d, want %d", line, n, want)
		}
	}
}

func TestWebSocket(t *testing.T) {
	s := start(t, "-version", "v7")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, r, err := websocket.Dial(ctx, "ws://"+s.addr(t)+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if got := r.Header.Get(wire.VersionHeader); got != "v7" {
		t.Errorf("the version is %q", got)
	}
	c.SetReadLimit(1 << 20)
	for _, message := range []string{"", "hello", strings.Repeat("x", 100_000)} {
		if err := c.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		kind, got, err := c.Read(ctx)
		if err != nil || kind != websocket.MessageText || string(got) != message {
			t.Fatalf("the echo of %d bytes is %v %d bytes, %v", len(message), kind, len(got), err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("the close is not answered: %v", err)
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.exit(t); err != nil {
		t.Error(err)
	}
}

// A connection that says nothing keeps nobody else waiting, and no server from
// ending.
func TestSilent(t *testing.T) {
	t.Parallel()
	s := start(t)
	addr := s.addr(t)
	_, silent := dial(t, addr)
	partial, partialIn := dial(t, addr)
	fmt.Fprint(partial, "ec")
	get(t, "http://"+addr+"/version")
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.exit(t); err != nil {
		t.Error(err)
	}
	for _, in := range []*bufio.Reader{silent, partialIn} {
		if b, err := in.ReadByte(); err != io.EOF {
			t.Errorf("got %q, %v", b, err)
		}
	}
}

// What is under way at SIGTERM, protocol by protocol: quick finishes all of
// it, the textbook's program what http.Server knows, abrupt nothing.
func TestUnderWay(t *testing.T) {
	type begun func(t *testing.T, addr string) (finish func() error)
	underWay := map[string]begun{
		"echo": func(t *testing.T, addr string) func() error {
			c, in := dial(t, addr)
			fmt.Fprint(c, wire.EchoLine(2)+"x")
			if _, err := in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			return func() error {
				fmt.Fprint(c, "y")
				if b, err := io.ReadAll(in); err != nil || string(b) != "xy" {
					return fmt.Errorf("got %q, %v", b, err)
				}
				return nil
			}
		},
		"websocket": func(t *testing.T, addr string) func() error {
			c, _, err := websocket.Dial(t.Context(), "ws://"+addr+"/ws", nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.CloseNow() })
			return func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if err := c.Write(ctx, websocket.MessageText, []byte("x")); err != nil {
					return err
				}
				if _, b, err := c.Read(ctx); err != nil || string(b) != "x" {
					return fmt.Errorf("got %q, %v", b, err)
				}
				return c.Close(websocket.StatusNormalClosure, "")
			}
		},
		"request": func(t *testing.T, addr string) func() error {
			c, in := dial(t, addr)
			fmt.Fprint(c, "GET /stream?seconds=1.5 HTTP/1.1\r\nHost: x\r\n\r\n")
			r, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			return func() error {
				_, err := io.Copy(io.Discard, r.Body)
				return err
			}
		},
		"request in TLS": func(t *testing.T, addr string) func() error {
			raw, _ := dial(t, addr)
			c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
			fmt.Fprint(c, "GET /stream?seconds=1.5 HTTP/1.1\r\nHost: x\r\n\r\n")
			r, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			return func() error {
				_, err := io.Copy(io.Discard, r.Body)
				return err
			}
		},
		"request in h2c": func(t *testing.T, addr string) func() error {
			var p http.Protocols
			p.SetUnencryptedHTTP2(true)
			transport := &http.Transport{Protocols: &p}
			t.Cleanup(transport.CloseIdleConnections)
			r, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get("http://" + addr + "/stream?seconds=1.5")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Body.Close() })
			return func() error {
				_, err := io.Copy(io.Discard, r.Body)
				return err
			}
		},
		// Accepted, and its request still on its way. http.Server.Shutdown closes
		// such a connection when it comes.
		"connection": func(t *testing.T, addr string) func() error {
			c, in := dial(t, addr)
			return func() error {
				fmt.Fprint(c, "GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
				_, err := http.ReadResponse(in, nil)
				return err
			}
		},
	}
	known := func(name string) bool { return strings.HasPrefix(name, "request") }
	for mode, finishes := range map[string]func(string) bool{
		"quick":    func(string) bool { return true },
		"graceful": known,
		"abrupt":   func(string) bool { return false },
	} {
		for name, begin := range underWay {
			t.Run(mode+" "+name, func(t *testing.T) {
				t.Parallel()
				s := start(t, "-mode", mode)
				addr := s.addr(t)
				if !s.isReady(10 * time.Second) {
					t.Fatal("never ready")
				}
				finish := begin(t, addr)
				get(t, "http://"+addr+"/version") // what began before has been accepted
				s.cmd.Process.Signal(syscall.SIGTERM)
				if err := closed(t, addr); err != nil {
					t.Fatal(err)
				}
				if !finishes(name) {
					s.exit(t)
				}
				if err := finish(); (err == nil) != finishes(name) {
					t.Errorf("what was under way ended with %v", err)
				}
				if finishes(name) {
					s.exit(t)
				}
			})
		}
	}
}

// closed waits until nobody listens at addr.
func closed(t *testing.T, addr string) error {
	for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		if err == nil {
			c.Close()
		}
	}
	return fmt.Errorf("somebody still listens at %s", addr)
}

// A file descriptor as systemd passes it, and a port that two listen on.
func TestListen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	// Only a shell can know the process id that LISTEN_PID must be.
	cmd := exec.CommandContext(ctx, "sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -listen fd -version v7`, host.Build(t, "."))
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	if _, body := get(t, "http://"+l.Addr().String()+"/version"); body != "v7\n" {
		t.Errorf("got %q", body)
	}

	addr := start(t, "-listen", "127.0.0.1:0", "-reuseport").addr(t)
	if got := start(t, "-listen", addr, "-reuseport").addr(t); got != addr {
		t.Errorf("the second listens at %s, not %s", got, addr)
	}
}

// A server under overload lets few wait, drops the SYNs of others, and serves
// all in the end.
func TestOverload(t *testing.T) {
	s := start(t, "-mode", "overload")
	addr := s.addr(t)
	out, err := exec.CommandContext(t.Context(), "ss", "-Hltn").CombinedOutput()
	if err != nil || !strings.Contains(string(out), fmt.Sprintf(" %d ", shortBacklog)) {
		t.Fatalf("no listener with a backlog of %d: %s %v", shortBacklog, out, err)
	}
	before := listenDrops(t)
	errs := make(chan error)
	const clients = 200
	for n := range clients {
		go func() {
			time.Sleep(time.Duration(n) * 4 * time.Millisecond) // over two periods
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
			r, err := client.Get("http://" + addr + "/version")
			if err == nil {
				r.Body.Close()
			}
			errs <- err
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if listenDrops(t) == before {
		t.Error("no SYN was dropped")
	}
}

// listenDrops returns how many SYNs were dropped in this network namespace.
func listenDrops(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "nstat", "-asz", "TcpExtListenDrops").CombinedOutput()
	if err != nil {
		t.Fatalf("nstat: %v: %s", err, out)
	}
	f := strings.Fields(string(out))
	return f[len(f)-2]
}
