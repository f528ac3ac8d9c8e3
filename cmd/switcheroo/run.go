package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo"
	"github.com/switcheroo/switcheroo/internal/config"
)

// runOptions are those of `switcheroo run`.
type runOptions struct {
	name         string
	listen       []string
	scope        scopeValue
	ports        portRange
	portOnly     bool
	notify       bool
	probe        string
	readyTimeout timespan
	standby      timespan
	drain        timespan
	killAfter    timespan
	quiet        bool

	list    bool
	cleanup bool
	json    jsonForm
}

const runLong = `Run a server so that its next version takes over the public port without losing
a connection: the server listens on a private port, and a rule in the kernel
leads new connections from the public port to it. Start the next version in the
same way. Once that is ready, new connections go to it; this one finishes its
own, and ends.

The command gets its listener as file descriptor 3, with LISTEN_FDS=1, as from
systemd. With --port-only, or {port} in its arguments, it gets only the number
of its private port, there and in $PORT, and listens by itself.

It is ready when it accepts a connection, or answers --probe http:/PATH. With
--notify it has to say READY=1 to $NOTIFY_SOCKET before, as it would to systemd;
with --probe none that is enough.

SIGTERM and SIGINT lead new connections elsewhere or refuse them, wait for the
open ones (--drain), and then end the command. A second one does not wait. Other
signals are passed on, and so is the command's exit status.`

const runExamples = `  switcheroo run -l 8080 -- ./server
  switcheroo run -l 8080 --probe http:/healthz -- node server.js
  switcheroo run -l 6379 --notify -- redis-server --port {port} --supervised systemd`

func runVerb() *cobra.Command {
	o := runOptions{
		scope:        scopeValue(switcheroo.Everyone),
		readyTimeout: timespan(30 * time.Second),
		standby:      timespan(10 * time.Second),
		drain:        timespan(30 * time.Second),
		killAfter:    timespan(10 * time.Second),
	}
	cmd := &cobra.Command{
		Use:     "run --listen PORT [options] -- COMMAND [ARGUMENT...]",
		Short:   "run a server whose next version takes over, without a daemon",
		Long:    runLong,
		Example: runExamples,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRun(cmd.Context(), o, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
		DisableFlagsInUseLine: true,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false) // what follows the command is the command's
	f.StringArrayVarP(&o.listen, "listen", "l", nil, "the public `PORT`, or ADDRESS:PORT; may be repeated")
	f.StringVarP(&o.name, "name", "n", "", "what its versions have in common; by default the first --listen")
	f.Var(&o.scope, "scope", "whose connections come: from the network, localhost, or both")
	f.BoolVar(&o.portOnly, "port-only", false, "the command listens by itself, on {port} or $PORT")
	f.Var(&o.ports, "ports", "where the private port comes from (default 40400-40499)")
	f.StringVar(&o.probe, "probe", "tcp", "`PROBE` that it has to pass: tcp, http:/PATH or none")
	f.BoolVar(&o.notify, "notify", false, "before that, it has to say READY=1 to $NOTIFY_SOCKET")
	f.Var(&o.readyTimeout, "ready-timeout", "how long that may take in all")
	f.Var(&o.standby, "standby", "how long the version before is kept, should this one fail")
	f.Var(&o.drain, "drain", "how long open connections are waited for")
	f.Var(&o.killAfter, "kill-after", "how long after SIGTERM the command is killed")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print only what is wrong")
	f.BoolVar(&o.list, "list", false, "list what is served in this way, and exit")
	f.Var(&o.json, "json", "with --list: pretty, short or off")
	f.Lookup("json").NoOptDefVal = "pretty"
	f.BoolVar(&o.cleanup, "cleanup", false, "remove the service's rules, so that clients are refused; exit")
	return cmd
}

func runRun(ctx context.Context, o runOptions, args []string, stdout, stderr io.Writer) error {
	if err := o.check(args); err != nil {
		return err
	}
	if err := mayChangeRules(); err != nil {
		return err
	}
	steps := newSteps(stderr, o.name, o.quiet)
	switch {
	case o.list:
		return list(ctx, o, steps, stdout)
	case o.cleanup:
		return cleanup(ctx, o, steps)
	}
	return serve(ctx, o, args, steps)
}

// check completes o, and finds what is wrong in how the command was called.
// The library says what is wrong with a value.
func (o *runOptions) check(args []string) error {
	if o.name == "" && len(o.listen) > 0 {
		o.name = o.listen[0]
	}
	if o.list && o.cleanup {
		return usageError{errors.New("--list and --cleanup are two things")}
	}
	if o.list || o.cleanup {
		if len(args) > 0 {
			return usageError{hinted{fmt.Errorf("unexpected argument %q", args[0]), "with --list or --cleanup nothing is run"}}
		}
		if o.cleanup && o.name == "" {
			return usageError{hinted{errors.New("no name: which service's rules?"), "add --name NAME; \"switcheroo run --list\" shows the names"}}
		}
		return nil
	}
	if o.json != "" {
		return usageError{hinted{errors.New("--json is for --list"), "what it does is printed in lines for people"}}
	}
	if len(o.listen) == 0 {
		return usageError{hinted{errors.New("no port that clients dial"), "add for example --listen 8080"}}
	}
	if len(args) == 0 || args[0] == "" {
		return usageError{hinted{errors.New("no command to run"), fmt.Sprintf("write it behind two dashes: switcheroo run --listen %s -- ./server", o.listen[0])}}
	}
	if strings.HasPrefix(args[0], "-") {
		return usageError{hinted{fmt.Errorf("the command is %q", args[0]), "options of switcheroo come before the two dashes, the command after them"}}
	}
	for _, a := range args {
		o.portOnly = o.portOnly || strings.Contains(a, placeholder)
	}
	return nil
}

// library returns o for the library.
func (o *runOptions) library(steps *steps) switcheroo.Options {
	return switcheroo.Options{
		Name: o.name, Listen: o.listen,
		PortMin: o.ports.min, PortMax: o.ports.max,
		Scope: switcheroo.Scope(o.scope),
		Probe: o.probe, ProbeTimeout: max(o.readyTimeout.duration(), 1),
		Standby: noneIsNegative(o.standby), Drain: foreverIsNegative(o.drain),
		PortOnly: o.portOnly,
		Log:      steps.log(),
	}
}

// noneIsNegative says no time as the library has it, where 0 is the default.
func noneIsNegative(t timespan) time.Duration {
	if t == 0 {
		return -1
	}
	return t.duration()
}

// foreverIsNegative says no end as the library has it, and no time as almost
// none.
func foreverIsNegative(t timespan) time.Duration {
	if t.duration() == config.Infinity {
		return -1
	}
	return max(t.duration(), 1)
}

// mayChangeRules returns why this process cannot change the kernel's rules, if
// it cannot.
func mayChangeRules() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil // then the kernel will say
	}
	if data[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return hinted{errors.New("not root: the kernel's rules can be neither read nor changed"), "run it with sudo; the command need not be root: \"switcheroo run ... -- setpriv --reuid=www-data --regid=www-data --clear-groups --pdeathsig=TERM ./server\""}
	}
	return hinted{errors.New("the kernel's rules cannot be changed here: CAP_NET_ADMIN is missing"), "for a container: docker run --cap-add NET_ADMIN ..."}
}
