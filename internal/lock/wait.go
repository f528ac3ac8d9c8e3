package lock

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// How long wait pauses between two tries: from firstPause, doubling, to
// longestPause, or to blindPause where the kernel has no inotify instance left
// for us and trying is all there is.
const (
	firstPause   = time.Millisecond
	longestPause = time.Second
	blindPause   = 50 * time.Millisecond
)

// wait returns once f is locked, f is no longer at its path, or ctx has ended.
//
// A thread that blocks in flock(2) cannot be called back: the call restarts
// after every signal that Go's runtime handles, and closing the descriptor
// does not wake it. So the lock is only ever tried. Between two tries wait
// sleeps until inotify says that somebody closed the file, as a holder does
// who releases it or dies.
//
// The kernel says so just before it drops a dead holder's lock, not after
// (__fput calls fsnotify_close, then locks_remove_file), so each event starts
// a series of tries with growing pauses. The longest pause is for those who
// unlock without closing.
func wait(ctx context.Context, f *os.File) error {
	if ok, err := try(f); ok || err != nil {
		return err
	}
	longest := longestPause
	closed, stop, err := watch(f)
	if err != nil {
		longest = blindPause
	} else {
		defer stop()
	}
	pause := firstPause
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		if ok, err := try(f); ok || err != nil {
			return err
		}
		if !isAt(f, f.Name()) {
			return errReplaced
		}
		select {
		case <-ctx.Done():
			return heldError(f, context.Cause(ctx))
		case <-closed:
			pause = firstPause
		case <-timer.C:
			pause = min(2*pause, longest)
		}
		timer.Reset(pause)
	}
}

// try locks f if it is free.
func try(f *os.File) (bool, error) {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
		case nil:
			return true, nil
		case unix.EWOULDBLOCK:
			return false, nil
		case unix.EINTR:
		default:
			return false, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

// Watch reports on its channel, until stop is called, that somebody has let go
// of the lock at path, or may have. It is a hint, given once for many. The file
// and its folder are made if missing.
func Watch(path string) (released <-chan struct{}, stop func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, nil, fmt.Errorf("make folder of lock: %w", err)
	}
	f, err := open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	return watch(f)
}

// watch reports on its channel that somebody closed, removed or replaced the
// file f, until stop is called.
func watch(f *os.File) (closed <-chan struct{}, stop func(), err error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, nil, fmt.Errorf("inotify: %w", err)
	}
	const mask = unix.IN_CLOSE | unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF
	self := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if _, err := unix.InotifyAddWatch(fd, self, mask); err != nil {
		unix.Close(fd)
		return nil, nil, fmt.Errorf("inotify: watch %s: %w", f.Name(), err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	c := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var buf [4096]byte
		for {
			if _, err := events.Read(buf[:]); err != nil {
				return // closed by stop; the longest pause bounds any other error
			}
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}()
	return c, func() { events.Close(); <-done }, nil
}
