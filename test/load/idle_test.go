package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"
)

// A close that a client can know of is no failure: it sees it before the next
// request, and connects again.
func TestIdleClose(t *testing.T) {
	answered := func(c net.Conn, in *bufio.Reader) {
		request(in)
		respond(c, "v1\n")
	}
	for name, c := range map[string]struct {
		config   Config
		handle   func(c *net.TCPConn, in *bufio.Reader, n int)
		requests int64 // of a connection
	}{
		"keep-alive": {Config{KeepAlive: 1}, func(c *net.TCPConn, in *bufio.Reader, n int) {
			answered(c, in)
			answered(c, in)
		}, 2},
		"Connection: close": {Config{KeepAlive: 1, Pause: time.Nanosecond}, func(c *net.TCPConn, in *bufio.Reader, n int) {
			answered(c, in)
			request(in)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nVersion: v1\r\nConnection: close\r\nContent-Length: 3\r\n\r\nv1\n")
		}, 2},
		"redis": {Config{KeepAlive: 1, Protocol: Redis}, func(c *net.TCPConn, in *bufio.Reader, n int) {
			echoed, err := readCommand(in)
			if err != nil {
				return
			}
			if _, err = readCommand(in); err == nil {
				c.Write(append(command(nil, echoed[1])[len("*1\r\n"):], says...))
			}
		}, 1},
		"close_notify": {Config{TLS: 1}, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			answered(s, in)
			answered(s, in)
			s.Close()
		}), 2},
		"TLS, no close_notify": {Config{TLS: 1}, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			answered(s, in)
		}), 1},
		"WebSocket": {Config{WebSocket: 1}, func(c *net.TCPConn, in *bufio.Reader, n int) {
			accepted(c, in)
			_, message := frame(in)
			c.Write(framed(opBinary, message))
			c.Write(framed(opClose, []byte{1001 >> 8, 1001 & 0xff}))
			frame(in)
		}, 2},
		"HTTP/2": {Config{HTTP2: 1}, streams(func(h *h2, id uint32) bool {
			h.answer(id)
			h.goAway(id)
			return false
		}), 1},
		"HTTP/2, no GOAWAY": {Config{HTTP2: 1}, streams(func(h *h2, id uint32) bool {
			h.answer(id)
			return false
		}), 1},
		// net/http closes the connection itself then, and does not say why.
		"HTTP/2, a frame that makes no sense": {Config{HTTP2: 1}, streams(func(h *h2, id uint32) bool {
			h.answer(id)
			h.write(frameSettings, 0, 0, make([]byte, 5))
			return true
		}), 1},
		// The second is never answered, as it may not have been begun.
		"HTTP/2, a request crosses GOAWAY": {Config{HTTP2: 1, Pause: time.Nanosecond}, streams(func(h *h2, id uint32) bool {
			if id == 1 {
				h.answer(id)
				return true
			}
			h.goAway(1)
			return true
		}), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const connections = 5
			c.config.Targets, c.config.Duration, c.config.Connections = []string{answer(t, c.handle)}, time.Minute, connections
			c.config.SlowConnect = -1
			setDefault(&c.config.Pause, idling)
			r := runEvenly(t, c.config)
			total := r.Total()
			if r.Failed() != 0 || total.IdleCloses != connections || total.Requests != connections*c.requests {
				t.Errorf("%d idle closes, %d requests, failures %v", total.IdleCloses, total.Requests, r.Failures)
			}
		})
	}
}

// Without a pause it does not look, as requests that follow one another at once
// cross a close whatever a client does.
func TestIdleReset(t *testing.T) {
	fault{config: Config{KeepAlive: 1, Pause: idling, SlowConnect: -1}, handle: func(c *net.TCPConn, in *bufio.Reader, n int) {
		request(in)
		respond(c, "v1\n")
		rst(c)
	}, want: trouble{ResetAfter, Idle, 1}}.run(t)
}

func TestUnaskedBytes(t *testing.T) {
	fault{config: Config{KeepAlive: 1, Pause: idling, SlowConnect: -1}, handle: func(c *net.TCPConn, in *bufio.Reader, n int) {
		request(in)
		respond(c, "v1\n")
		respond(c, "v1\n")
		request(in)
	}, want: trouble{WrongBytes, Idle, 1}}.run(t)
}

// The end of the run ends pauses too.
func TestStopWhileIdle(t *testing.T) {
	addr := echoing(t)
	for _, config := range []Config{{KeepAlive: 2}, {TLS: 2}, {WebSocket: 2}, {HTTP2: 2}, {Echo: 2}} {
		config.Targets, config.Pause, config.Duration, config.SlowConnect = []string{addr}, MaxDuration, MaxDuration, -1
		ctx, cancel := context.WithCancel(t.Context())
		r, err := Run(ctx, config, func(r *Result) {
			if r.Total().Requests >= 2 {
				cancel()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if total := r.Total(); r.Failed() > 0 || total.Connections != 2 || total.IdleCloses > 0 {
			t.Errorf("%s: %d connections, failures %v", config, total.Connections, r.Failures)
		}
	}
}

// The same seed makes the same load.
func TestSeed(t *testing.T) {
	received := func(seed uint64) string {
		sizes := make(chan string, 1)
		addr := answer(t, func(c *net.TCPConn, in *bufio.Reader, n int) {
			line, _ := in.ReadString('\n')
			sizes <- line
		})
		r, err := Run(t.Context(), Config{Targets: []string{addr}, Echo: 1, Seed: seed, Duration: time.Minute, Connections: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Seed == 0 || seed != 0 && r.Seed != seed {
			t.Errorf("the seed was %d, and %d is in the result", seed, r.Seed)
		}
		return <-sizes
	}
	if a, b, c := received(1), received(1), received(2); a != b || a == c {
		t.Errorf("seed 1: %q and %q, seed 2: %q", a, b, c)
	}
	if a, b := received(0), received(0); a == b {
		t.Errorf("no seed: %q twice", a)
	}
}

func TestPauses(t *testing.T) {
	addr := echoing(t)
	run := func(pause time.Duration) *Result {
		r, err := Run(t.Context(), Config{Targets: []string{addr}, KeepAlive: 2, Requests: 10, Pause: pause, Duration: time.Minute, Connections: 4, SlowConnect: -1, Samples: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Failed() > 0 || r.Total().Requests != 40 || r.Samples.Len() != 40 {
			t.Errorf("%d requests, %d samples, failures %v", r.Total().Requests, r.Samples.Len(), r.Failures)
		}
		return r
	}
	// 18 pauses one after the other; that all are this short is no chance.
	const pause = 20 * time.Millisecond
	if took := run(pause).Duration(); took < pause {
		t.Errorf("18 pauses of %v took %v", pause, took)
	}
	r := run(0)
	for x := range r.Samples.All() {
		if x.Kind != KeepAlive || x.End.UnixMicro() < r.Start/1000 || x.End.UnixNano() > r.End {
			t.Errorf("from %d to %d: %+v", r.Start, r.End, x)
		}
	}
}
