package iptables

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockPath is the file that the legacy commands flock.
func lockPath() string {
	return cmp.Or(os.Getenv("XTABLES_LOCKFILE"), "/run/xtables.lock")
}

// lockHolder names who holds the xtables lock now, as "process 4711 (ferm)"; ""
// if nobody does or that cannot be seen.
func lockHolder() string {
	var st unix.Stat_t
	if err := unix.Stat(lockPath(), &st); err != nil {
		return ""
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return ""
	}
	pid := flockHolder(string(locks), unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	if pid == 0 {
		return ""
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("process %d (%s)", pid, strings.TrimSuffix(string(name), "\n"))
}

// flockHolder returns the process that holds a flock on a file according to
// /proc/locks; 0 if none does. A line is
//
//	1: FLOCK  ADVISORY  WRITE 4711 fe:00:9978097 0 EOF
//
// and has "->" before FLOCK for one who waits. Holders of other PID namespaces
// are left out or have the number 0 or -1 (fs/locks.c, lock_get_status).
func flockHolder(locks string, major, minor uint32, inode uint64) int {
	file := fmt.Sprintf("%02x:%02x:%d", major, minor, inode)
	for line := range strings.Lines(locks) {
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "FLOCK" || f[5] != file {
			continue
		}
		if pid, err := strconv.Atoi(f[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
