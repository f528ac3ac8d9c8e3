package iptables

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one command that has been started, and waits for its input.
type process struct {
	argv           []string
	pid            int
	stdin          io.WriteCloser
	stdout, stderr bytes.Buffer // once wait has returned
	kill           func()       // with what it has started itself
	wait           func() error // until it has ended; any goroutine may, and again
}

// start starts a command in the network namespace of the calling thread, which
// has to be locked and to last until wait has returned: the command is killed
// with it. The caller calls finish.
func start(argv ...string) (*process, error) {
	ctx, kill := context.WithCancel(context.Background())
	p := &process{argv: argv, kill: kill}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	// A command must not outlive us: it might wait for the xtables lock, and
	// write what we wanted over what our successor wants. The signal comes when
	// the thread that forked ends, hence the locked thread.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	cmd.Cancel = func() error {
		if err := unix.Kill(-cmd.Process.Pid, unix.SIGKILL); err != unix.ESRCH {
			return err
		}
		return os.ErrProcessDone
	}
	// The output may be held by a process that left the group; but on a busy
	// machine our own reading of it takes its time, too.
	cmd.WaitDelay = 10 * time.Second
	p.wait = sync.OnceValue(func() error {
		defer kill()
		return cmd.Wait()
	})
	var err error
	if p.stdin, err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		kill()
		return nil, err
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

// finish gives the command its input, all of it, and returns what it printed.
// It is killed, with what it has started itself, when ctx ends or after timeout;
// a commit is one system call, so that it is then either done or not begun. fed
// is how many bytes of the input were written before the command ended.
func (p *process) finish(ctx context.Context, timeout time.Duration, stdin string) (stdout string, fed int, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		p.kill()
		p.stdin.Close() // whoever reads it: we do not write any longer
	})
	defer stop()
	fed, _ = io.WriteString(p.stdin, stdin) // the command's own end says more
	p.stdin.Close()
	if err = p.wait(); err == nil {
		return p.stdout.String(), fed, nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return "", fed, p.failed(err, stdin)
}

// failed is the error of a command that has ended.
func (p *process) failed(err error, stdin string) error {
	said := p.stderr.String()
	cmdErr := &CommandError{
		Argv:   p.argv,
		Stderr: strings.Join(strings.Fields(said), " "),
		Line:   failedLine(said, stdin),
		Err:    err,
	}
	if cmdErr.busy() {
		cmdErr.Holder = lockHolder() // now, as it may be gone in a moment
	}
	return cmdErr
}
