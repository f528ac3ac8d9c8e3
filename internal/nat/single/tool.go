package single

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Tool is the iptables command of one family.
type Tool struct {
	Family nat.Family
	// Command returns the command with its arguments, not yet started.
	Command func(args ...string) *exec.Cmd
}

// CommandError is a command that did not succeed.
type CommandError struct {
	Argv   []string
	Output string // what it printed, on one line
	Err    error  // *exec.ExitError, or why it was ended
}

func (e *CommandError) Error() string {
	s := fmt.Sprintf("%q: %v", strings.Join(e.Argv, " "), e.Err)
	if e.Output != "" {
		s += ": " + e.Output
	}
	return s
}

func (e *CommandError) Unwrap() error { return e.Err }

// IsTemporary reports whether the command failed for a reason that may pass: it
// was killed, or could not get at what it needs, such as the xtables lock. (A
// host without the table, and a sudo that refuses, end with another status.)
func IsTemporary(err error) bool {
	var failed *CommandError
	if !errors.As(err, &failed) {
		return false
	}
	var exit *exec.ExitError
	if !errors.As(failed.Err, &exit) {
		return !errors.Is(failed.Err, exec.ErrNotFound) && !errors.Is(failed.Err, os.ErrNotExist)
	}
	const resourceProblem = 4
	return !exit.Exited() || exit.ExitCode() == resourceProblem && !strings.Contains(failed.Output, "nitialize")
}

const (
	// waitSec is how many seconds a command waits for the xtables lock, which
	// on a busy host may have a queue.
	waitSec = "15"
	// commandTimeout is for one command, its wait included.
	commandTimeout = 40 * time.Second
	// killGrace is how long one may take to end after SIGTERM, which sudo
	// passes on; SIGKILL it cannot.
	killGrace = time.Second
	// readGrace is how long our own reading of what it printed may go on after
	// its end: on a busy machine that takes seconds.
	readGrace = 15 * time.Second
)

var errNoCommand = errors.New("no command given")

// run runs one command on table nat and returns what it printed on stdout.
func (t Tool) run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	args = append([]string{"-w", waitSec, "-t", "nat"}, args...)
	cmd := t.Command(args...)
	if cmd == nil {
		return "", fmt.Errorf("iptables %s: %w", strings.Join(args, " "), errNoCommand)
	}
	if err := ctx.Err(); err != nil {
		return "", &CommandError{Argv: cmd.Args, Err: context.Cause(ctx)}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = tee(cmd.Stdout, &stdout), tee(cmd.Stderr, &stderr)
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = readGrace
	}
	err := cmd.Start()
	if err == nil {
		stop := context.AfterFunc(ctx, func() {
			cmd.Process.Signal(unix.SIGTERM)
			time.AfterFunc(killGrace, func() { cmd.Process.Kill() })
		})
		err = cmd.Wait()
		if !stop() && err != nil {
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		said := stderr.String()
		if strings.TrimSpace(said) == "" {
			said = stdout.String()
		}
		return "", &CommandError{Argv: cmd.Args, Output: strings.Join(strings.Fields(said), " "), Err: err}
	}
	return stdout.String(), nil
}

// tee keeps what the command's maker wants to see.
func tee(given io.Writer, ours io.Writer) io.Writer {
	if given == nil {
		return ours
	}
	return io.MultiWriter(given, ours)
}
