package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// starter is the name under which this program runs between fork and exec of a
// command: LISTEN_PID has to name the process that gets the listener, which
// only that process itself knows.
const starter = "switcheroo-starter"

// becomeCommand turns this process into the command args[1], with the
// arguments args[2:]. It returns only if that fails: it writes why to the file
// descriptor args[0], which is closed otherwise.
func becomeCommand(args []string, stderr io.Writer) int {
	if len(args) < 3 {
		fmt.Fprintln(stderr, "switcheroo: error: this name is for its own use")
		return exitUsage
	}
	fd, err := strconv.Atoi(args[0])
	if err != nil {
		fmt.Fprintln(stderr, "switcheroo: error: this name is for its own use")
		return exitUsage
	}
	unix.CloseOnExec(fd)
	if os.Getenv("LISTEN_FDS") != "" {
		if err := os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())); err != nil {
			return tell(fd, err)
		}
	}
	// syscall's, not unix's: it gives the limit of open files back that Go has
	// raised for itself.
	return tell(fd, syscall.Exec(args[1], args[2:], os.Environ()))
}

// tell writes the number of the error to fd.
func tell(fd int, err error) int {
	number := unix.EINVAL
	errors.As(err, &number)
	unix.Write(fd, []byte{byte(number)})
	return exitCannotExecute
}

// hear reads from r how becoming the command went: nil if it did.
func hear(r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(r, 1))
	switch {
	case err != nil:
		return err
	case len(b) == 0:
		return nil
	}
	return syscall.Errno(b[0])
}

// cannotStart is why a command could not be started, with the exit status that
// a shell has for that.
func cannotStart(name string, err error) error {
	status, hint := exitCannotExecute, ""
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // the name is said already
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		status = exitNotFound
		if _, err := os.Stat(name); err == nil {
			hint = "the file is there, but not the interpreter that its first line names"
		}
	case errors.Is(err, unix.EISDIR):
	case errors.Is(err, fs.ErrPermission):
		hint = "make it executable: chmod +x " + name
	case errors.Is(err, unix.ENOEXEC):
		hint = "a script begins with #!/bin/sh or the like"
	}
	return failure{hinted{fmt.Errorf("start %s: %w", name, err), hint}, status}
}
