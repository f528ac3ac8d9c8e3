package lock

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// HeldError says that somebody else still held the lock when the caller's
// context ended.
type HeldError struct {
	Path string
	PID  int    // of who took it; 0 if that could not be found
	Comm string // that process's name, "" if it could not be found
	Err  error  // why the wait ended
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("lock %s: held by %s: %v", e.Path, e.who(), e.Err)
}

func (e *HeldError) who() string {
	switch {
	case e.PID == 0:
		return "another process"
	case e.Comm == "":
		return fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("process %d (%s)", e.PID, e.Comm)
}

func (e *HeldError) Unwrap() error { return e.Err }

func heldError(f *os.File, cause error) *HeldError {
	e := &HeldError{Path: f.Name(), Err: cause}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return e
	}
	e.find(st.Ino)
	return e
}

// find looks for who has flocked the file with this inode number.
func (e *HeldError) find(ino uint64) {
	// The daemon's own sandbox hides this file (ProcSubset=pid); then the
	// holder stays unnamed.
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return
	}
	defer locks.Close()
	if e.PID = holder(locks, ino); e.PID == 0 {
		return
	}
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", e.PID)); err == nil {
		e.Comm = strings.TrimSpace(string(comm))
	}
}

// holder finds in the text of /proc/locks who has flocked the file with this
// inode number, or returns 0. The device in it is that of the filesystem, which
// stat(2) need not show (overlay, btrfs), so it is not compared.
//
//	1: FLOCK  ADVISORY  WRITE 4711 00:1a:1234 0 EOF
//	1: -> FLOCK  ADVISORY  WRITE 4712 00:1a:1234 0 EOF
//
// The second line is somebody who waits.
func holder(locks io.Reader, ino uint64) int {
	lines := bufio.NewScanner(locks)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 6 || f[1] != "FLOCK" {
			continue
		}
		if dev := strings.Split(f[5], ":"); dev[len(dev)-1] != strconv.FormatUint(ino, 10) {
			continue
		}
		// Locks of another pid namespace show as 0 or -1.
		if pid, err := strconv.Atoi(f[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
