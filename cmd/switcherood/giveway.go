package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// autogroup is where the kernel keeps the niceness of a session (sched(7), "The
// autogroup feature").
const autogroup = "/proc/self/autogroup"

// giveWay makes the nice value that this process was started with count beside
// others: where the kernel shares out the processors between sessions, Nice= of a
// unit says only how the processes of one share theirs. The commands that the
// daemon starts are of its session.
func giveWay() error {
	if sid, err := unix.Getsid(0); err != nil || sid != os.Getpid() {
		return err // a shell's session, which is not ours to slow down
	}
	// The system call returns 20 less the nice value.
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return fmt.Errorf("read the nice value: %w", err)
	}
	nice := 20 - raw
	if nice <= 0 {
		return nil // to ask for more takes CAP_SYS_NICE
	}
	f, err := os.OpenFile(autogroup, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without them
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(nice))
	return errors.Join(err, f.Close())
}
