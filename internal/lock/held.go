package lock

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Holder names who holds a flock on the file at path now, as "process 4711
// (switcheroo)", or "another process" where that cannot be seen; "" if nobody
// does, there is no such file, or it cannot be told. Where it may, it takes the
// lock for a moment to find out.
func Holder(path string) string {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return ""
	}
	e := HeldError{Path: path}
	f, err := os.Open(path)
	if err != nil {
		// Nobody else's file has this number on this filesystem; where stat(2)
		// shows another device than /proc/locks, the holder stays unseen.
		text, _ := os.ReadFile("/proc/locks")
		if file := fmt.Sprintf(" %02x:%02x:%d ", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino); !strings.Contains(string(text), file) {
			return ""
		}
		if e.find(st.Ino); e.PID == 0 {
			return ""
		}
		return e.who()
	}
	defer f.Close()
	if ok, err := try(f); ok || err != nil {
		return ""
	}
	e.find(st.Ino)
	return e.who()
}
