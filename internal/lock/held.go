package lock

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Holder names who holds a flock on the file at path now, as "process 4711
// (switcheroo)", or "another process" where that cannot be seen; "" if nobody
// does, there is no such file, or it cannot be told.
func Holder(path string) string {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return ""
	}
	var e HeldError
	if e.find(st.Ino); e.PID != 0 {
		return e.who()
	}
	// Nobody, or somebody whom /proc/locks does not show from here.
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) {
		f, err = os.Open(path)
	}
	if err != nil {
		return ""
	}
	defer f.Close()
	if ok, err := try(f); ok || err != nil {
		return ""
	}
	return e.who()
}
