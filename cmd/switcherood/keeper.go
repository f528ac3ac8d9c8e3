package main

import (
	"context"
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
	k.mu.Lock()
	_, still := k.kept[key]
	k.mu.Unlock()
	if !still { // dropped meanwhile, perhaps before systemd had it
		k.forget(key)
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

// close closes the copies here; systemd has its own.
func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.kept {
		unix.Close(l.fd)
	}
	clear(k.kept)
}
