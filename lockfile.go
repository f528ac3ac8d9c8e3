package switcheroo

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// lockPath returns where the lock of a service, or of a port, lives. Root's are
// beside the daemon's; those of other users are in a folder that they share,
// with the uid in the name. Package lock refuses one that another user has put
// there.
//
// The rules themselves need no common lock with the daemon, or with another
// service: no two write to the same chain.
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
