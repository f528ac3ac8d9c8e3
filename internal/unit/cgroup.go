package unit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// cgroupIDs returns the ids of a cgroup and all below it, which are the inode
// numbers of their directories in the cgroup2 file system. A cgroup that does
// not exist has none.
func cgroupIDs(dir string) (map[uint64]bool, error) {
	ids := make(map[uint64]bool)
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil || !d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return fs.SkipDir
		}
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			ids[stat.Ino] = true
		}
		return nil
	})
	return ids, err
}

// cgroupDir returns the directory of a cgroup that is named as systemd names
// it, by its path from the root of the cgroup namespace. root is the file
// system to look in.
func cgroupDir(root, name string) (string, error) {
	// Where systemd mounts it, and mostly the kernel need not be asked for all of
	// its mounts.
	usual := path.Join(root, "/sys/fs/cgroup", name)
	var fs unix.Statfs_t
	if unix.Statfs(usual, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return usual, nil
	}
	process := "self"
	if root != "" {
		process = "1" // there is no self in somebody else's /proc
	}
	table, err := os.ReadFile(root + "/proc/" + process + "/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find cgroup2: %w", err)
	}
	mounts := cgroupMounts(table)
	if len(mounts) == 0 {
		return "", errors.New("find cgroup2: it is not mounted")
	}
	// One made in this namespace shows its root. One made in another, or of a
	// part of the hierarchy, does if its own root leads to name; what is not
	// in any of them has no directory that could be walked.
	dir := path.Join(root, mounts[0].point, name)
	for _, m := range mounts {
		inside, ok := strings.CutPrefix(name, strings.TrimSuffix(m.root, "/"))
		if !ok || inside != "" && inside[0] != '/' {
			continue
		}
		candidate := path.Join(root, m.point, inside)
		if _, err := os.Stat(candidate); err == nil {
			return candidate, nil
		}
	}
	return dir, nil
}

// cgroupMount is a mount of the cgroup2 file system: alone at /sys/fs/cgroup,
// or at /sys/fs/cgroup/unified beside version 1.
type cgroupMount struct {
	root  string // the cgroup that is mounted
	point string // where
}

// cgroupMounts reads the cgroup2 mounts from a mountinfo table; see
// proc_pid_mountinfo(5).
func cgroupMounts(table []byte) []cgroupMount {
	var mounts []cgroupMount
	for line := range bytes.Lines(table) {
		place, kind, ok := strings.Cut(string(line), " - ")
		fields := strings.Fields(place)
		if !ok || !strings.HasPrefix(kind, "cgroup2 ") || len(fields) < 5 {
			continue
		}
		mounts = append(mounts, cgroupMount{root: unescape(fields[3]), point: unescape(fields[4])})
	}
	return mounts
}

// unescape undoes what the kernel does to blanks and backslashes.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
