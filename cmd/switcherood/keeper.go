package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/sockdiag"
)

// keeper keeps copies of the listeners that instances have bound: in this
// process, and in systemd's file descriptor store for the next one.
type keeper struct {
	log *slog.Logger

	mu   sync.Mutex
	kept map[string]keptListener
}

// keptListener is a copy. It is no os.File: Go would wait for connections on it
// if the instance's own copy does not block, and wake up at each.
type keptListener struct {
	fd   int
	port uint16
}

// newKeeper returns a keeper that has the copies which were passed by systemd,
// by name.
func newKeeper(passed map[string][]*os.File, log *slog.Logger) *keeper {
	k := &keeper{log: log, kept: map[string]keptListener{}}
	for key, files := range passed {
		for _, f := range files {
			if err := k.inherit(key, f); err != nil {
				log.Warn("a listener that was kept is of no use", "error", err)
			}
			f.Close()
		}
		if _, ok := k.kept[key]; !ok {
			k.forget(key)
		}
	}
	return k
}

func (k *keeper) inherit(key string, f *os.File) error {
	port, err := boundTo(f)
	if err != nil {
		return err
	}
	if _, twice := k.kept[key]; twice {
		return fmt.Errorf("there is another one for port %d", port)
	}
	fd, err := duplicate(f)
	if err == nil {
		k.kept[key] = keptListener{fd, port}
	}
	return err
}

// Keep keeps a copy of l. It returns when that outlives the daemon.
func (k *keeper) Keep(ctx context.Context, key string, port uint16, l *os.File) error {
	if err := k.check(ctx, port, l); err != nil {
		return err
	}
	own, err := duplicate(l)
	if err != nil {
		return err
	}
	k.mu.Lock()
	before, replaced := k.kept[key]
	same := replaced && sameSocket(before.fd, own)
	if same {
		unix.Close(own)
	} else {
		k.kept[key] = keptListener{own, port}
	}
	k.mu.Unlock()
	if replaced && !same {
		unix.Close(before.fd)
		k.forget(key)
	}
	// Once more if it is the same: the one before may have been lost on its
	// way, and systemd keeps no socket twice.
	if err := putAway(ctx, key, l); err != nil {
		k.log.Warn("a listener is kept until the daemon ends, and no longer", "port", port, "error", err)
	}
	return nil
}

// check is an error unless l listens on port in the daemon's own network, where
// rules lead to.
func (k *keeper) check(ctx context.Context, port uint16, l *os.File) error {
	bound, err := boundTo(l)
	if err != nil {
		return err
	}
	if bound != port {
		return fmt.Errorf("it is bound to port %d, not to %d", bound, port)
	}
	var inode uint64
	err = onSocket(l, func(fd int) (err error) {
		_, inode, err = identity(fd)
		return err
	})
	if err != nil {
		return err
	}
	all, err := sockdiag.ListenersOn(ctx, port)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(s sockdiag.Listener) bool { return uint64(s.Inode) == inode }) {
		return fmt.Errorf("it does not listen on port %d of this host: it may be in another network namespace", port)
	}
	return nil
}

// Kept returns the keys of all copies, and the port of each.
func (k *keeper) Kept() map[string]uint16 {
	k.mu.Lock()
	defer k.mu.Unlock()
	ports := make(map[string]uint16, len(k.kept))
	for key, l := range k.kept {
		ports[key] = l.port
	}
	return ports
}

// Copy returns another copy, nil if none is kept.
func (k *keeper) Copy(key string) (*os.File, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l, ok := k.kept[key]
	if !ok {
		return nil, nil
	}
	fd, err := unix.FcntlInt(uintptr(l.fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "listener"), nil
}

// Drop closes the copy of that key, here and at systemd's.
func (k *keeper) Drop(key string) {
	k.mu.Lock()
	l, ok := k.kept[key]
	delete(k.kept, key)
	k.mu.Unlock()
	if ok {
		unix.Close(l.fd)
		k.forget(key)
	}
}

func (k *keeper) forget(key string) {
	if err := takeAway(key); err != nil {
		k.log.Warn("systemd keeps a listener that is of no use", "error", err)
	}
}

// Waiting returns how many connections wait in the queues of the listeners on
// port.
func (k *keeper) Waiting(ctx context.Context, port uint16) (n int, err error) {
	all, err := sockdiag.ListenersOn(ctx, port)
	for _, l := range all {
		n += int(l.Queue)
	}
	return n, err
}

// Free reports whether a listener can be bound to port, by trying; if it is to
// be quiet, without SO_REUSEADDR.
func (k *keeper) Free(port uint16, quiet bool) bool {
	err := tryBind(unix.AF_INET6, &unix.SockaddrInet6{Port: int(port)}, quiet)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
		err = tryBind(unix.AF_INET, &unix.SockaddrInet4{Port: int(port)}, quiet)
	}
	return err == nil
}

// tryBind binds a socket for a moment. It does not listen, so nobody connects.
func tryBind(family int, addr unix.Sockaddr, quiet bool) error {
	s, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(s, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			return err
		}
	}
	if !quiet {
		if err := unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
	}
	return unix.Bind(s, addr)
}

// close closes the copies here; systemd has its own.
func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.kept {
		unix.Close(l.fd)
	}
	clear(k.kept)
}

// boundTo returns the port that a TCP socket is bound to.
func boundTo(f *os.File) (port uint16, err error) {
	err = onSocket(f, func(fd int) error {
		if protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil || protocol != unix.IPPROTO_TCP {
			return errors.New("it is no TCP socket")
		}
		addr, err := unix.Getsockname(fd)
		if err != nil {
			return err
		}
		switch a := addr.(type) {
		case *unix.SockaddrInet4:
			port = uint16(a.Port)
		case *unix.SockaddrInet6:
			port = uint16(a.Port)
		}
		if port == 0 {
			return errors.New("it is not bound to a port")
		}
		return nil
	})
	return port, err
}

// identity tells one socket from another.
func identity(fd int) (dev, inode uint64, err error) {
	var info unix.Stat_t
	err = unix.Fstat(fd, &info)
	return info.Dev, info.Ino, err
}

// sameSocket reports whether two descriptors are of one socket.
func sameSocket(a, b int) bool {
	dev, inode, err := identity(a)
	if err != nil {
		return false
	}
	otherDev, other, err := identity(b)
	return err == nil && dev == otherDev && inode == other
}

func duplicate(f *os.File) (copied int, err error) {
	err = onSocket(f, func(fd int) (err error) {
		copied, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		return err
	})
	return copied, err
}

// onSocket does something with f as it is: Fd would make it block, for all who
// have a copy.
func onSocket(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}
