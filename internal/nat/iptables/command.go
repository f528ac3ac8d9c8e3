package iptables

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// ErrLockBusy says that another program held the xtables lock all the time that
// we were ready to wait for it. Nothing was changed.
var ErrLockBusy = errors.New("another program holds the xtables lock")

// CommandError is a command of iptables that did not succeed.
type CommandError struct {
	Argv   []string
	Stderr string // what it printed, on one line
	Line   string // of its input, if it named one
	Err    error  // *exec.ExitError, or why it was killed
	Holder string // of the xtables lock, if that was busy and its holder could be seen
}

func (e *CommandError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", filepath.Base(e.Argv[0]))
	if e.busy() {
		fmt.Fprintf(&b, "%v: ", ErrLockBusy)
	}
	fmt.Fprintf(&b, "%v", e.Err)
	if e.Stderr != "" {
		fmt.Fprintf(&b, ": %s", e.Stderr)
	}
	if e.Line != "" {
		fmt.Fprintf(&b, " (%s)", e.Line)
	}
	return b.String()
}

func (e *CommandError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrLockBusy) work.
func (e *CommandError) Is(target error) bool {
	return target == ErrLockBusy && e.busy()
}

// Exit status 4 (RESOURCE_PROBLEM) has other causes as well.
func (e *CommandError) busy() bool {
	return strings.Contains(e.Stderr, "xtables lock")
}

// unavailable reports that the kernel has no such table, or no such family.
func (e *CommandError) unavailable() bool {
	for _, text := range []string{
		"can't initialize ip", "unable to initialize table", // legacy
		// iptables-legacy-save; it says so of a lack of privilege or memory, too
		"Cannot initialize: Table does not exist", "Cannot initialize: Protocol not available",
		"Cannot initialize: Address family not supported",
		"Could not fetch rule set generation id", "Failed to initialize nft", // nft
	} {
		if strings.Contains(e.Stderr, text) {
			return true
		}
	}
	return false
}

// commandTimeout is for one command besides the wait for the xtables lock. Ten
// thousand services take a second.
const commandTimeout = 15 * time.Second

// run runs one command and returns what it printed. It ends as finish says.
func run(ctx context.Context, timeout time.Duration, stdin string, argv ...string) (string, error) {
	if ctx.Err() != nil {
		return "", &CommandError{Argv: argv, Err: context.Cause(ctx)}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := start(argv...)
	if err != nil {
		return "", &CommandError{Argv: argv, Err: err}
	}
	stdout, _, err := p.finish(ctx, timeout, stdin)
	return stdout, err
}

// Legacy says "line 3 failed", and no more; "Error occurred at line: 3" is
// common to both. nft's "line 7: CHAIN_DEL failed" counts the same way.
var lineNumber = regexp.MustCompile(`line:? ([0-9]+)`)

// failedLine returns the line of the input that the message names.
func failedLine(stderr, stdin string) string {
	m := lineNumber.FindStringSubmatch(stderr)
	if m == nil {
		return ""
	}
	n, err := strconv.Atoi(m[1])
	lines := strings.Split(stdin, "\n")
	if err != nil || n < 1 || n > len(lines) {
		return ""
	}
	return lines[n-1]
}
