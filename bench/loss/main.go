// Command loss is the loss bench: it replaces versions of servers by the next
// ones under load, in Switcheroo's way and in those that people use today, and
// says of every connection that was not served perfectly what happened to it
// and which switch it belongs to. See docs/loss.md.
//
//	loss run      every contender with every server: a table, JSON and plots
//	loss long     Switcheroo alone, many services side by side, until there
//	              are 10,000 switches; resumes where it was ended
//	loss latency  Switcheroo's requests around a switch, beside quiet times
//	loss held     clients that keep a connection for longer than DrainSec=
//	loss report   draws what run and long have written, for docs/loss.md
//	loss list     the contenders and servers that there are
//
// It needs root: everything happens on private hosts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/switcheroo/switcheroo/test/host"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	host.Clean()
	os.Exit(status)
}

// Exit statuses.
const (
	exitOK    = 0
	exitLost  = 1 // one of ours lost something, or the bench could not run
	exitUsage = 2
)

// usageError is an error in the arguments.
type usageError struct{ error }

// errLost is a finding, not a fault of the bench.
var errLost = errors.New("connections were lost in switches of ours")

type verb struct {
	name, about string
	run         func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

var verbs = []verb{
	{"run", "every contender with every server: a table, JSON and plots", runVerb},
	{"long", "Switcheroo alone, until there are 10,000 switches; resumes", longVerb},
	{"latency", "Switcheroo's requests around a switch, beside quiet times", latencyVerb},
	{"held", "clients that keep a connection for longer than DrainSec=", heldVerb},
	{"report", "draw what run and long have written, for docs/loss.md", reportVerb},
	{"list", "the contenders and servers that there are", listVerb},
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "loss: error:", err)
		fmt.Fprintln(stderr, `loss: hint: see "loss help"`)
		return exitUsage
	}
	fmt.Fprintln(stderr, "loss: error:", err)
	return exitLost
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return usageError{errors.New("no verb: want one of run, long, latency, held, report, list")}
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(stdout, "usage: loss VERB [OPTION...]\n\n")
		for _, v := range verbs {
			fmt.Fprintf(stdout, "  %-8s  %s\n", v.name, v.about)
		}
		fmt.Fprint(stdout, "\n\"loss VERB -h\" prints a verb's options.\nExit status: 0 if no switch of ours lost anything, 1 if one did or the bench\ncould not run, 2 for wrong usage.\n")
		return nil
	}
	for _, v := range verbs {
		if v.name == args[0] {
			return v.run(ctx, args[1:], stdout, stderr)
		}
	}
	return usageError{fmt.Errorf("no verb %q: want one of run, long, latency, held, report, list", args[0])}
}

// parse parses the options of a verb, which takes no other arguments.
func parse(flags *flag.FlagSet, args []string, stderr io.Writer) error {
	flags.SetOutput(stderr)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	return nil
}
