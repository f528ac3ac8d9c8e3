package switcheroo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat/single"
	"github.com/switcheroo/switcheroo/internal/sockdiag"
)

// allSeen returns ErrOutOfSight if a process of the service seems to be gone,
// and somebody whom we cannot see listens on its port: it runs where process ids
// are others. It would take this process for dead, as this one it, and each
// would take the traffic from the other.
func allSeen(ctx context.Context, st single.State) error {
	for _, g := range st.Generations {
		if g.PID == 0 {
			continue
		}
		if alive, err := isAlive(g.PID, g.Start); err == nil && alive {
			continue
		}
		if hidden, err := heldOutOfSight(ctx, g.Port); err != nil {
			return err
		} else if hidden {
			return fmt.Errorf("process %d %w, and serves on private port %d", g.PID, ErrOutOfSight, g.Port)
		}
	}
	return nil
}

// A look at sockets and one at processes are two: a server that ends between
// them, or hands its listener on, has one that nobody seems to hold. So the same
// socket has to be seen like that in several looks.
const (
	strangeLooks = 4
	strangePause = 300 * time.Millisecond
)

// heldOutOfSight reports whether somebody listens on a port, and no process that
// we see does.
func heldOutOfSight(ctx context.Context, port uint16) (bool, error) {
	var strange []sockdiag.Listener
	for look := range strangeLooks {
		if look > 0 && pause(ctx, strangePause) != nil {
			return false, ctx.Err()
		}
		now, err := outOfSight(ctx, port)
		if err != nil {
			return false, err
		}
		if look > 0 {
			now = slices.DeleteFunc(now, func(l sockdiag.Listener) bool {
				return !slices.ContainsFunc(strange, func(s sockdiag.Listener) bool { return s.Inode == l.Inode })
			})
		}
		if strange = now; len(strange) == 0 {
			return false, nil
		}
	}
	return true, nil
}

// outOfSight returns the listeners on a port if no process that we see has any
// of them. Listeners of other users say nothing to who may not look at their
// processes.
func outOfSight(ctx context.Context, port uint16) ([]sockdiag.Listener, error) {
	listeners, err := sockdiag.ListenersOn(ctx, port)
	if err != nil {
		return nil, fmt.Errorf("look who listens on port %d: %w", port, err)
	}
	if uid := os.Geteuid(); uid != 0 {
		mine := listeners[:0]
		for _, l := range listeners {
			if int(l.UID) == uid {
				mine = append(mine, l)
			}
		}
		listeners = mine
	}
	if len(listeners) == 0 {
		return nil, nil
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	for _, p := range processes {
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil {
			continue
		}
		if held, err := holdsAny(pid, listeners); err == nil && held {
			return nil, nil
		}
	}
	return listeners, nil
}
