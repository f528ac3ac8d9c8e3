package iptables

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// LockPath is the file that the legacy commands flock.
func LockPath() string {
	return cmp.Or(os.Getenv("XTABLES_LOCKFILE"), "/run/xtables.lock")
}

// lockHolder names who holds the xtables lock now, as "process 4711 (ferm)"; ""
// if nobody does or that cannot be seen.
func lockHolder() string {
	var st unix.Stat_t
	if err := unix.Stat(LockPath(), &st); err != nil {
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

// LockHolder names who keeps a command of ours waiting now, as "process 4711
// (ferm)", or "another program" where that cannot be seen; "" if nobody does. A
// command of our own that has the lock for its work, mostly for a millisecond,
// cannot be told apart. Only legacy has that lock.
func (b *Backend) LockHolder() string {
	if b.variant != Legacy {
		return ""
	}
	if who := lockHolder(); who != "" {
		return who
	}
	fd, err := unix.Open(LockPath(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd) // lets go of it, too
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != unix.EWOULDBLOCK {
		return ""
	}
	return "another program"
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
