package switcheroo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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

// outliveFor bounds how long a listener may be there after the end of its
// process: the kernel closes it in the background.
const outliveFor = 2 * time.Second

// heldOutOfSight reports whether somebody goes on listening on a port, and no
// process that we see does. Listeners of other users say nothing to who may not
// look at their processes.
func heldOutOfSight(ctx context.Context, port uint16) (bool, error) {
	for began := time.Now(); ; {
		hidden, err := isHidden(ctx, port)
		if !hidden || err != nil || time.Since(began) > outliveFor {
			return hidden, err
		}
		if err := pause(ctx, lookAgain); err != nil {
			return false, err
		}
	}
}

func isHidden(ctx context.Context, port uint16) (bool, error) {
	listeners, err := sockdiag.ListenersOn(ctx, port)
	if err != nil {
		return false, fmt.Errorf("look who listens on port %d: %w", port, err)
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
		return false, nil
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return false, err
	}
	for _, p := range processes {
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil {
			continue
		}
		if held, err := holdsAny(pid, listeners); err == nil && held {
			return false, nil
		}
	}
	return true, nil
}
