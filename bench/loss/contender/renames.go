package contender

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// renames tells when a file is renamed into a directory. Who waits for that takes
// no time of the machine's until then.
type renames struct{ events *os.File }

// watchRenames watches from now on. The caller closes it.
func watchRenames(dir string) (*renames, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO|unix.IN_ONLYDIR); err != nil {
		events.Close()
		return nil, fmt.Errorf("inotify: watch %s: %w", dir, err)
	}
	return &renames{events}, nil
}

func (r *renames) close() { r.events.Close() }

// wait reports whether there was one since the last call, as soon as there is; at
// the latest after limit. When ctx ends, the error is its cause.
func (r *renames) wait(ctx context.Context, limit time.Duration) (renamed bool, err error) {
	if err := r.events.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return false, err
	}
	defer context.AfterFunc(ctx, func() { r.events.SetReadDeadline(time.Unix(1, 0)) })()
	_, err = r.events.Read(make([]byte, 16*(unix.SizeofInotifyEvent+unix.NAME_MAX+1)))
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err == nil:
		return true, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	}
	return false, fmt.Errorf("inotify: %w", err)
}
