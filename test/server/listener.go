package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
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
	var all []net.Listener
	for _, addr := range addrs {
		ls, err := open(addr, o.reusePort)
		if err != nil {
			return err
		}
		all = append(all, ls...)
	}
	for _, l := range all {
		n := backlog
		if o.mode.overload {
			n = shortBacklog
		}
		if o.backlog > 0 {
			n = o.backlog
		}
		if err := setBacklog(l, n); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "listening on %s\n", l.Addr())
		switch {
		case o.mode.neverAccepts:
			s.idle = append(s.idle, l)
			continue
		case o.mode.slowAccept:
			l = newPaced(l, ticks(50*time.Millisecond))
		case o.mode.overload:
			l = newPaced(l, untilOpen)
		}
		s.front.serve(l)
	}
	return nil
}

// open returns the listeners that addr stands for.
func open(addr string, reusePort bool) ([]net.Listener, error) {
	if addr == "fd" {
		return passed()
	}
	network := "tcp"
	for _, n := range []string{"tcp4", "tcp6"} {
		if rest, ok := strings.CutPrefix(addr, n+":"); ok {
			network, addr = n, rest
		}
	}
	var config net.ListenConfig
	if reusePort {
		config.Control = func(_, _ string, raw syscall.RawConn) error {
			return control(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		}
	}
	l, err := config.Listen(context.Background(), network, addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return []net.Listener{l}, nil
}

// passed returns the listening sockets that systemd passed (sd_listen_fds(3)).
func passed() ([]net.Listener, error) {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 1 || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, fmt.Errorf("listen: systemd passed no socket: LISTEN_FDS=%q, LISTEN_PID=%q", os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_PID"))
	}
	var all []net.Listener
	for fd := 3; fd < 3+n; fd++ {
		f := os.NewFile(uintptr(fd), fmt.Sprintf("LISTEN_FD_%d", fd))
		l, err := net.FileListener(f)
		f.Close() // it was copied
		if err != nil {
			return nil, fmt.Errorf("listen on descriptor %d: %w", fd, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// setBacklog sets the length of l's accept queue. Go takes its own from /proc,
// which a sandboxed unit may not see, and systemd from the socket unit.
func setBacklog(l net.Listener, n int) error {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return fmt.Errorf("%s is no TCP listener", l.Addr())
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	if err := control(raw, func(fd int) error { return unix.Listen(fd, n) }); err != nil {
		return fmt.Errorf("set the backlog of %s: %w", l.Addr(), err)
	}
	return nil
}

func control(raw syscall.RawConn, f func(fd int) error) error {
	var failed error
	err := raw.Control(func(fd uintptr) { failed = f(int(fd)) })
	return errors.Join(err, failed)
}
