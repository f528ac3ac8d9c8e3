package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// backlog is enough for every client of a test to wait in the accept queue.
const backlog = 4096

// listen opens the listeners of o, prints their addresses and serves them.
func (s *server) listen(o options, stdout io.Writer) error {
	if o.mode.noListener {
		return nil
	}
	addrs := o.listen
	if o.mode.twoListeners {
		addrs = append(addrs, "[::]:0")
	}
	for _, addr := range addrs {
		l, err := listen(addr)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "listening on %s\n", l.Addr())
		if o.mode.neverAccepts {
			s.idle = append(s.idle, l)
			continue
		}
		if o.mode.slowAccept {
			l = &slowListener{Listener: l, next: time.NewTicker(50 * time.Millisecond), closed: make(chan struct{})}
		}
		if o.mode.resets {
			l = &resettingListener{Listener: l, count: &s.accepted}
		}
		s.serve(l)
	}
	return nil
}

func listen(addr string) (net.Listener, error) {
	network := "tcp"
	for _, n := range []string{"tcp4", "tcp6"} {
		if rest, ok := strings.CutPrefix(addr, n+":"); ok {
			network, addr = n, rest
		}
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), network, addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	// Go takes its backlog from /proc, which a sandboxed unit may not see.
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Listen(int(fd), backlog) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, fmt.Errorf("set the backlog of %s: %w", l.Addr(), failed)
	}
	return l, nil
}

// slowListener lets time pass between accepts, so that under load its accept
// queue is never empty.
type slowListener struct {
	net.Listener
	next   *time.Ticker
	once   sync.Once
	closed chan struct{}
}

func (l *slowListener) Accept() (net.Conn, error) {
	select {
	case <-l.next.C:
	case <-l.closed:
	}
	return l.Listener.Accept()
}

func (l *slowListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// doomed is how many connections there are to one that gets reset.
const doomed = 50

// resettingListener marks every fiftieth connection for a reset at its first
// request. (One at once could overtake the client's connect(2), which then
// fails without a chance to read why.)
type resettingListener struct {
	net.Listener
	count *atomic.Int64
}

func (l *resettingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil && l.count.Add(1)%doomed == 0 {
		c = doomedConn{c}
	}
	return c, err
}

// doomedConn is a connection to reset at its first request.
type doomedConn struct{ net.Conn }
