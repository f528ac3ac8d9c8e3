package unit

import (
	"context"
	"fmt"
	"slices"

	"github.com/switcheroo/switcheroo/internal/sockdiag"
)

// Listeners returns the listening TCP sockets that processes in a cgroup, or
// in one below it, have made, in this network namespace. controlGroup is a
// Status's; "" has none.
//
// The kernel notes the cgroup of the process that makes a socket, and keeps to
// it: one that came in from elsewhere, as LISTEN_FDS for instance, is not
// found. No capability is needed.
func Listeners(ctx context.Context, controlGroup string) ([]sockdiag.Listener, error) {
	return listeners(ctx, "", controlGroup)
}

// listeners is Listeners for the cgroups of a systemd in the file system root.
func listeners(ctx context.Context, root, controlGroup string) ([]sockdiag.Listener, error) {
	if controlGroup == "" {
		return nil, nil // not the root cgroup
	}
	dir, err := cgroupDir(root, controlGroup)
	if err != nil {
		return nil, fmt.Errorf("list listeners of %s: %w", controlGroup, err)
	}
	ids, err := cgroupIDs(dir)
	if err != nil {
		return nil, fmt.Errorf("list listeners of %s: %w", controlGroup, err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	all, err := sockdiag.Listeners(ctx)
	if err != nil {
		return nil, fmt.Errorf("list listeners of %s: %w", controlGroup, err)
	}
	return slices.DeleteFunc(all, func(l sockdiag.Listener) bool { return !ids[l.CgroupID] }), nil
}
