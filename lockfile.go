package switcheroo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/lock"
)

// lockWait bounds how long others may keep a lock: a switch takes less than a
// second, and several may be ahead of us.
const lockWait = 2 * time.Minute

func acquire(ctx context.Context, path string) (*lock.Lock, error) {
	wait, cancel := context.WithTimeoutCause(ctx, lockWait, errors.New("waited for "+lockWait.String()))
	defer cancel()
	return lock.Acquire(wait, path)
}

// lockPath returns where the lock of a service, or of a port, lives. Root's are
// beside the daemon's; those of other users are in a folder that they share,
// with the uid in the name. Package lock refuses one that another user has put
// there.
//
// The rules themselves need no common lock with the daemon, or with another
// service: no two write to the same chain. But two services that want the same
// public port must not both find it free: see lockEndpoints.
func lockPath(what string) (string, error) {
	if os.Geteuid() == 0 {
		return filepath.Join("/run/switcheroo", what+".lock"), nil
	}
	name := "switcheroo-" + strconv.Itoa(os.Geteuid()) + "-" + what + ".lock"
	const shared = "/run/lock"
	if unix.Access(shared, unix.W_OK|unix.X_OK) == nil {
		return filepath.Join(shared, name), nil
	}
	return filepath.Join(os.TempDir(), name), nil
}

// lockEndpoints takes the locks of the public ports, on which services that want
// the same one wait for each other. The caller takes the service's lock after
// these, if any, and calls release. The ports are sorted, so that no two wait for
// each other in a circle.
func (h *Handover) lockEndpoints(ctx context.Context) (release func(), err error) {
	var held []*lock.Lock
	release = func() {
		for _, l := range held {
			l.Release()
		}
	}
	var ports []int
	for _, e := range h.endpoints {
		ports = append(ports, int(e.Port))
	}
	slices.Sort(ports)
	for _, port := range slices.Compact(ports) {
		path, err := lockPath("public-" + strconv.Itoa(port))
		if err != nil {
			release()
			return nil, err
		}
		l, err := acquire(ctx, path)
		if err != nil {
			release()
			return nil, err
		}
		held = append(held, l)
	}
	return release, nil
}
