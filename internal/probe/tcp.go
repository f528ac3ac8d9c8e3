package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/switcheroo/switcheroo/internal/sockdiag"
	"golang.org/x/sys/unix"
)

// TCP connects to addr, what a listener of this network namespace is bound to,
// and waits until the server has accepted the connection: the kernel completes
// handshakes for a server whose accept loop does not run. ctx bounds the wait;
// its end is an error.
//
// A server that closes or resets the connection once it has accepted it has
// accepted it.
func TCP(ctx context.Context, addr netip.AddrPort) error {
	conn, err := dial(ctx, addr)
	if errors.Is(err, unix.ECONNRESET) { // a refused one is ECONNREFUSED
		return resetBy(ctx, addr.Port())
	}
	if err != nil {
		return err
	}
	defer leave(conn)
	connected := time.Now()

	// On a loaded host the server needs some milliseconds, else microseconds.
	pause := 500 * time.Microsecond
	for {
		ok, err := accepted(ctx, conn)
		switch {
		case ok:
			return nil
		case ctx.Err() != nil:
			return &notAcceptedError{addr: addr, after: time.Since(connected), cause: ctx.Err()}
		case err != nil:
			return fmt.Errorf("probe %s: %w", addr, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

// notAcceptedError says that the kernel took the connection and the server did
// not. It is the error of the context that ended the wait.
type notAcceptedError struct {
	addr  netip.AddrPort
	after time.Duration
	cause error
}

func (e *notAcceptedError) Error() string {
	after := e.after.Round(time.Millisecond)
	if e.cause != context.DeadlineExceeded {
		return fmt.Sprintf("connected to %s, but not accepted yet after %s: %v", e.addr, after, e.cause)
	}
	return fmt.Sprintf("connected to %s, but not accepted within %s: is the server's accept loop stuck?", e.addr, after)
}

func (e *notAcceptedError) Unwrap() error { return e.cause }

// accepted reports whether the server has accepted conn. An error is final.
func accepted(ctx context.Context, conn *net.TCPConn) (bool, error) {
	server, client := addrPort(conn.RemoteAddr()), addrPort(conn.LocalAddr())
	s, ok, err := sockdiag.Find(ctx, server, client)
	if err != nil {
		return false, err
	}
	if ok {
		return s.Accepted(), nil
	}
	// The server's end is gone, or was never made: with SYN cookies, while the
	// accept queue is full, there is none though we are connected. Ours knows.
	switch err := peek(conn); {
	case err == nil:
		return true, nil // it said something, or closed
	case errors.Is(err, unix.EAGAIN):
		return false, nil
	case !errors.Is(err, unix.ECONNRESET):
		return false, err
	}
	err = resetBy(ctx, server.Port())
	return err == nil, err
}

// resetBy judges a connection that was established and then reset: by a server
// that had accepted it, or, an error, because the listener closed with it in
// the queue.
func resetBy(ctx context.Context, port uint16) error {
	ls, err := sockdiag.ListenersOn(ctx, port)
	if err != nil {
		return err
	}
	if len(ls) == 0 {
		return errors.New("connected, but the listener closed before it accepted")
	}
	return nil
}

// peek looks at what the connection has received, without waiting. nil means
// data or the end of them.
func peek(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var (
		b       [1]byte
		peekErr error
	)
	err = raw.Control(func(fd uintptr) {
		_, _, peekErr = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return errors.Join(err, peekErr)
}

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }
