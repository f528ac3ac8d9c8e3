package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// removeCgroup kills what is left in the cgroup dir and removes the tree. The
// kernel lets go of a dead process's cgroup a moment after its parent was
// told, hence the patience.
func removeCgroup(dir string) error {
	// Since Linux 5.14; without it the tree below is emptied by PID 1's death.
	os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	var dirs []string
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return nil // a directory that vanished meanwhile is what we want
	})
	slices.Reverse(dirs) // children first
	deadline := time.NewTimer(5 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for _, d := range dirs {
		for {
			err := unix.Rmdir(d)
			if err == nil || errors.Is(err, unix.ENOENT) {
				break
			}
			select {
			case <-tick.C:
			case <-deadline.C:
				return fmt.Errorf("remove cgroup %s: %w", d, err)
			}
		}
	}
	return nil
}
