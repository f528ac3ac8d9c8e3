// Hostile is clients of the control socket that mean no good, for tests: some
// connect and say nothing, some read events and then stop reading, and some send
// one malformed request after another. It says "ready" once the first two sorts
// are there or were turned away, goes on until its standard input ends, and prints
// what it did: of the first sort how often they were let in, and how often they
// were turned away.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	socket := flag.String("socket", "/run/switcheroo/control.sock", "")
	idle := flag.Int("idle", 0, "clients that say nothing, and come back when they are cut off")
	stalled := flag.Int("stalled", 0, "readers of events that do not read")
	malformed := flag.Int("malformed", 0, "clients that send malformed requests")
	flag.Parse()
	h := &hostile{socket: *socket}
	ctx, cancel := context.WithCancel(context.Background())
	var group, connected sync.WaitGroup
	start := func(n int, f func(context.Context, func())) {
		for range n {
			connected.Add(1)
			group.Go(func() { f(ctx, sync.OnceFunc(connected.Done)) })
		}
	}
	start(*idle, h.idle)
	start(*stalled, h.stall)
	start(*malformed, h.malform)
	connected.Wait()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	cancel()
	group.Wait()
	fmt.Printf("idle %d, turned-away %d, stalled %d, malformed %d, answered %d\n", h.idles.Load(), h.turned.Load(), h.stalls.Load(), h.sent.Load(), h.answered.Load())
}

type hostile struct {
	socket                                string
	idles, turned, stalls, sent, answered atomic.Int64
}

// dial connects, in the end.
func (h *hostile) dial(ctx context.Context) net.Conn {
	for ctx.Err() == nil {
		c, err := new(net.Dialer).DialContext(ctx, "unix", h.socket)
		if err == nil {
			context.AfterFunc(ctx, func() { c.Close() })
			return c
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

func (h *hostile) idle(ctx context.Context, connected func()) {
	defer connected()
	for {
		c := h.dial(ctx)
		if c == nil {
			return
		}
		c.SetReadDeadline(time.Now().Add(soon))
		n, err := c.Read(make([]byte, 1))
		connected()
		switch {
		case n > 0:
			h.turned.Add(1)
		case errors.Is(err, os.ErrDeadlineExceeded):
			h.idles.Add(1)
			c.SetReadDeadline(time.Time{})
			io.Copy(io.Discard, c) // until it is cut off
		}
		c.Close()
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// soon is within which who is turned away is told so. Who is let in hears nothing
// for seconds.
const soon = 2 * time.Second

func (h *hostile) stall(ctx context.Context, connected func()) {
	defer connected()
	for {
		c := h.dial(ctx)
		if c == nil {
			return
		}
		h.stalls.Add(1)
		c.(*net.UnixConn).SetReadBuffer(1)
		io.WriteString(c, "GET /v1/events?since=1 HTTP/1.1\r\nHost: x\r\n\r\n")
		io.ReadFull(c, make([]byte, 16))
		connected()
		select {
		case <-ctx.Done():
		case <-time.After(15 * time.Second):
		}
		c.Close()
	}
}

// requests are beginnings that the rest is made from.
var requests = []string{
	"GET /v1/services HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /v1/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n{\"unit\":\"myapp@v1\",\"wait\":\"switched\"}   ",
	"POST /v1/drain HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"uni\r\n0\r\n\r\n",
	"POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n{\"files\":[{\"name\":\"a@.service\",\"text\":\"[X-Switcheroo]\\n\"}]}  ",
	"GET /v1/connections/../../etc HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /v1/wait HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n{",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}

func (h *hostile) malform(ctx context.Context, connected func()) {
	connected()
	for ctx.Err() == nil {
		c := h.dial(ctx)
		if c == nil {
			return
		}
		b := []byte(requests[rand.IntN(len(requests))])
		for range rand.IntN(4) {
			switch i := rand.IntN(len(b)); rand.IntN(3) {
			case 0:
				b[i] = byte(rand.IntN(256))
			case 1:
				b = append(b[:i:i], b[i+rand.IntN(len(b)-i):]...)
			case 2:
				b = append(b[:i:i], append([]byte(requests[rand.IntN(len(requests))]), b[i:]...)...)
			}
			if len(b) == 0 {
				b = []byte{0}
			}
		}
		c.SetDeadline(time.Now().Add(time.Second))
		c.Write(b)
		if rand.IntN(4) > 0 { // the others go without a word
			c.(*net.UnixConn).CloseWrite()
			if n, _ := io.Copy(io.Discard, c); n > 0 {
				h.answered.Add(1)
			}
		}
		c.Close()
		h.sent.Add(1)
	}
}
