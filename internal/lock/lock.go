// Package lock is the mutex over the kernel's rules: whoever reads them in
// order to change them holds it, be it the daemon, its command line or a
// program that uses the library.
//
// It is a flock(2) on a file, so the kernel drops it when the holder dies, by
// whatever death: there is no stale lock to clean up.
//
//	l, err := lock.Acquire(ctx, lock.Path)
//	if err != nil {
//		return err
//	}
//	defer l.Release()
package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Path is where the rules' lock lives on a host.
const Path = "/run/switcheroo/rules.lock"

// Lock is a held lock.
type Lock struct {
	f *os.File
}

// errReplaced says that the file is not the one at its path any more: a lock on
// it excludes nobody.
var errReplaced = errors.New("lock file replaced")

// Acquire takes the lock at path, and waits for it as long as ctx allows. The
// file and its folder are made if missing. Two Acquires exclude each other
// within one process as well. When ctx ends while somebody else holds the lock
// the error is a *HeldError.
func Acquire(ctx context.Context, path string) (*Lock, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("lock %s: %w", path, context.Cause(ctx))
	}
	// The folder holds the control socket too, which everybody may reach.
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of lock: %w", err)
	}
	for {
		f, err := open(path)
		if err != nil {
			return nil, err
		}
		err = wait(ctx, f)
		if err == nil && isAt(f, path) {
			return &Lock{f: f}, nil
		}
		f.Close()
		if err != nil && !errors.Is(err, errReplaced) {
			return nil, err
		}
	}
}

// Try takes the lock at path if it is free, and else returns nil.
func Try(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of lock: %w", err)
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	if ok, err := try(f); !ok || err != nil || !isAt(f, path) {
		f.Close()
		return nil, err
	}
	return &Lock{f: f}, nil
}

// Release gives the lock back. A second call returns an error.
func (l *Lock) Release() error {
	// A close alone would not do: a child process that is just being started
	// has a copy of the descriptor until its exec, and would keep the lock. Nor
	// should waiters be woken by the close before the lock is free.
	err := unix.Flock(int(l.f.Fd()), unix.LOCK_UN)
	if cerr := l.f.Close(); cerr != nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("release lock: %w", err)
	}
	return nil
}

// open opens the lock file itself, never what a symbolic link leads to.
func open(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	// In a folder that everybody may write to, somebody else's file is a lock
	// that he can take away at any time.
	if err == nil && os.Geteuid() != 0 {
		if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
			err = fmt.Errorf("it belongs to uid %d", owner)
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open lock %s: %w", path, err)
	}
	return f, nil
}

// isAt reports whether f is still the file at path. Somebody may have removed
// or replaced that while we waited.
func isAt(f *os.File, path string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Lstat(path)
	return err == nil && os.SameFile(ours, now)
}
