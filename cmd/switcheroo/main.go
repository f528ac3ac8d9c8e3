// Switcheroo is the command line. Most of its verbs, one a file, ask the daemon
// over its control socket: see docs/cli.md. `switcheroo run` moves a public TCP
// port to a new version of a server without losing a connection, with neither a
// daemon nor systemd: see docs/run.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo"
	"github.com/switcheroo/switcheroo/internal/api"
)

// version is set by the build: -ldflags "-X main.version=1.2.3".
var version = "dev"

// commit is what it was built from, set in the same way; "" if that is not known.
var commit string

func main() {
	if len(os.Args) > 1 && os.Args[1] == "exec" {
		setAside(api.MaxListeners)
	}
	switch {
	case os.Args[0] == starter:
		os.Exit(becomeCommand(os.Args[1:], os.Stderr))
	case os.Getpid() == 1:
		os.Exit(reap(os.Args[1:], os.Stderr))
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// Exit statuses, documented in docs/run.md. `run` passes on that of the
// command it ran, so its own are those that a server hardly has.
const (
	exitOK            = 0
	exitError         = 1
	exitUsage         = 2
	exitNoService     = 4   // nothing of that name
	exitEndedEarly    = 5   // the command ended with 0 before it was ready
	exitNotReady      = 6   // the command was not ready in time
	exitRolledBack    = 7   // the command ended with 0 in standby, and the one before it has the port again
	exitCannotExecute = 126 // as for a shell
	exitNotFound      = 127 // as for a shell
	exitSignal        = 128 // and the number of the signal that killed the command
)

// usageError is an error in how the command was called.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// hinted is an error with something to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// Hint says what to do about the error.
func (h hinted) Hint() string { return h.hint }

// failure is an error with an exit status of its own.
type failure struct {
	error
	status int
}

func (f failure) Unwrap() error { return f.error }

// ended is the exit status of the command that was run, which said itself what
// there was to say.
type ended int

func (e ended) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := root(stdout, stderr)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	var passed ended
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &passed):
		return int(passed)
	}
	return report(err, stderr)
}

// report prints what is wrong and what to do about it, and returns the exit
// status.
func report(err error, stderr io.Writer) int {
	err = inContext(own(err))
	fmt.Fprintf(stderr, "switcheroo: error: %v\n", err)
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintf(stderr, "switcheroo: hint: %s\n", h.Hint())
	}
	var usage usageError
	var fail failure
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &fail):
		return fail.status
	}
	return exitError
}

// own returns an error of the library's without the library's name, which is
// ours.
func own(err error) error {
	if inner := errors.Unwrap(err); inner != nil && err.Error() == "switcheroo: "+inner.Error() {
		return inner
	}
	return err
}

// inContext adds to an error of the library's what it means here.
func inContext(err error) error {
	var option *switcheroo.OptionError
	switch {
	case errors.As(err, &option):
		return usageError{hinted{err, `see "switcheroo run --help"`}}
	case errors.Is(err, switcheroo.ErrOutOfSight):
		return hinted{err, "if it is in another container, share the process ids: docker run --pid host"}
	case errors.Is(err, switcheroo.ErrNoPort):
		return hinted{err, `"switcheroo run --list" shows what has them; a wider range is for example --ports 61000-61999`}
	case errors.Is(err, exec.ErrNotFound) && strings.HasPrefix(err.Error(), "iptables: "):
		return hinted{err, "apt-get install iptables"}
	}
	return err
}

const rootLong = `Switcheroo moves public TCP ports to new versions of servers without losing a
connection. Without a verb it lists the services of this host.

"switcheroo run" does it for one server, without daemon and systemd. All other
verbs ask the daemon, switcherood.`

// Groups of verbs, for --help.
const (
	looking  = "looking"
	changing = "changing"
	other    = "other"
)

func root(stdout, stderr io.Writer) *cobra.Command {
	list := listVerb()
	cmd := &cobra.Command{
		Use:   "switcheroo [options]",
		Short: "Move public TCP ports to new versions of servers without losing a connection",
		Long:  rootLong,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			hint := `"switcheroo --help" lists them`
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = fmt.Sprintf("did you mean %q?", near[0])
			}
			return usageError{hinted{fmt.Errorf("no verb %q", args[0]), hint}}
		},
		RunE:          list.RunE,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.DisableFlagsInUseLine, cmd.Flags().SortFlags = true, false
	cmd.Flags().AddFlagSet(list.Flags()) // it is the verb if there is none
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.SetVersionTemplate("switcheroo {{.Version}}\n")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{hinted{err, fmt.Sprintf("see %q", cmd.CommandPath()+" --help")}}
	})
	cmd.SuggestionsMinimumDistance = 2
	cmd.CompletionOptions.DisableDefaultCmd = true
	help := helpVerb()
	cmd.SetHelpCommand(help)
	cmd.SetUsageFunc(usage)
	cobra.EnableCommandSorting = false // what is used most comes first
	for _, g := range []struct {
		id, title string
		verbs     []*cobra.Command
	}{
		{looking, "Look:", []*cobra.Command{list, statusVerb(), connectionsVerb(), historyVerb(), eventsVerb(), catVerb(), checkVerb(), doctorVerb()}},
		{changing, "Change:", []*cobra.Command{deployVerb(), rollbackVerb(), pauseVerb(), resumeVerb(), drainVerb(), waitVerb(), execVerb(), runVerb()}},
		{other, "Other:", []*cobra.Command{help, completionVerb(), versionVerb()}},
	} {
		cmd.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, verb := range g.verbs {
			verb.GroupID, verb.DisableFlagsInUseLine = g.id, true
			cmd.AddCommand(verb)
		}
	}
	return cmd
}
