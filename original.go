package switcheroo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/switcheroo/switcheroo/internal/nat/single"
	"github.com/switcheroo/switcheroo/internal/sockdiag"
)

// originals returns the processes that were deployed with the original library
// and still run, as generations: they are seen out like any other. A rule of the
// original's names its process by the pid alone, so that process must also be
// the one that listens on the rule's private port. Who is not is left alone.
func (h *Handover) originals(ctx context.Context, st single.State) []single.Generation {
	var keep []single.Generation
	for _, o := range st.Originals {
		start, err := identify(ctx, o)
		if err != nil {
			h.log.Warn("the process that the original library's rule names is not signalled", "pid", o.PID, "port", o.Port, "error", err)
			continue
		}
		keep = append(keep, single.Generation{PID: o.PID, Start: start, Port: o.Port, Scope: o.Scope, Targets: o.Targets})
	}
	return keep
}

// identify returns when the process began that o is about.
func identify(ctx context.Context, o single.Original) (start uint64, err error) {
	if start, err = startOf(o.PID); err != nil {
		return 0, err
	}
	p, err := openProcess(o.PID, start)
	if err != nil {
		return 0, err
	}
	defer p.close()
	listeners, err := sockdiag.ListenersOn(ctx, o.Port)
	if err != nil {
		return 0, err
	}
	held, err := holdsAny(o.PID, listeners)
	switch {
	case err != nil:
		return 0, err
	case !held:
		return 0, fmt.Errorf("%w: another one has its pid, and does not listen on port %d", errGone, o.Port)
	case p.ended():
		return 0, errGone // so whose descriptors were those?
	}
	return start, nil
}

// holdsAny reports whether one of the process's descriptors is one of the
// listeners.
func holdsAny(pid int, listeners []sockdiag.Listener) (bool, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return false, errGone
	}
	if err != nil {
		return false, fmt.Errorf("look for its listener: %w", err)
	}
	for _, fd := range fds {
		to, err := os.Readlink(filepath.Join(dir, fd.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		inode, ok := strings.CutPrefix(to, "socket:[")
		if !ok {
			continue
		}
		for _, l := range listeners {
			if inode == strconv.FormatUint(uint64(l.Inode), 10)+"]" {
				return true, nil
			}
		}
	}
	return false, nil
}
