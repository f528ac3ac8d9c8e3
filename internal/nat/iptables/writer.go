package iptables

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// writer is an iptables-restore that was started before there is anything to
// write. It waits for the first line of its input, and until then it has no
// lock, and has asked the kernel nothing: it may wait as long as it likes,
// whatever others write meanwhile.
type writer struct {
	argv    []string
	ns      namespace   // that it was started in
	expiry  *time.Timer // ends it when it has waited for long enough, at until
	until   time.Time
	started chan struct{} // closed once process is set
	process *process      // nil if it could not be started
}

// run starts the command in the writer's namespace, which fd is, and returns
// when the command has ended. It closes fd.
func (w *writer) run(fd int) {
	// A thread of its own until then: the command is killed when the thread
	// ends.
	runtime.LockOSThread()
	moved, err := enter(fd, w.ns)
	if !moved {
		defer runtime.UnlockOSThread()
	}
	unix.Close(fd)
	if err == nil {
		// Why it could not be started, the write's own command will say.
		w.process, _ = start(w.argv...)
	}
	close(w.started)
	if w.process != nil {
		w.process.wait()
	}
}

// write has the command carry out a script, which ends in its only COMMIT. Done
// is false if it certainly has not, and for no reason that another would meet: it
// had been killed, while it waited for instance, before it had all of the script.
func (w *writer) write(ctx context.Context, timeout time.Duration, script string) (done bool, err error) {
	<-w.started
	if w.process == nil {
		return false, nil
	}
	_, fed, err := w.process.finish(ctx, timeout, script)
	var exit *exec.ExitError
	// An exit status of its own, if it has read anything, is an answer.
	gone := err == nil || errors.As(err, &exit) && (exit.ExitCode() < 0 || fed == 0)
	if gone && fed <= strings.Index(script, "COMMIT\n") {
		return false, nil
	}
	return true, err
}

// dismissTimeout is how long a command may take to end that was given nothing to
// do, before it is killed.
const dismissTimeout = time.Second

// dismiss ends the command, which has nothing to write, and returns when it has
// ended.
func (w *writer) dismiss() {
	<-w.started
	if w.process != nil {
		w.process.finish(context.Background(), dismissTimeout, "")
	}
}
