package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/config"
)

const execLong = `Start a server on the private port that the daemon has reserved for its unit.
This is for ExecStart= of units with an [X-Switcheroo] section:

  ExecStart=/usr/bin/switcheroo exec -- /opt/myapp/%i/server

The server gets its listener as file descriptor 3, with LISTEN_FDS=1, as from a
socket unit; a service with several named endpoints gets one for each, and their
names in $LISTEN_FDNAMES. It is the same process, so Type=notify, watchdogs and
everything else work as before. The daemon keeps a copy of the listener: while
the instance is restarted, or has crashed and is about to be, clients wait and
are not refused.

With --port-only, or {port} in its arguments, the server gets only the number of
its private port, there and in $PORT, and listens by itself. Of several
endpoints each has its own: {port:NAME}, and $PORT_NAME in capitals.`

const execExamples = `  switcheroo exec -- /opt/myapp/server
  switcheroo exec -- redis-server --port {port} --supervised systemd`

// execOptions are those of `switcheroo exec`.
type execOptions struct {
	portOnly bool
	names    []string
	timeout  timespan
}

func execVerb() *cobra.Command {
	o := execOptions{timeout: timespan(30 * time.Second)}
	cmd := &cobra.Command{
		Use:     "exec [options] -- COMMAND [ARGUMENT...]",
		Short:   "start a unit's server on its reserved port, with its listener",
		Long:    execLong,
		Example: execExamples,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "" {
				return usageError{hinted{errors.New("no command to run"), "write it behind two dashes: switcheroo exec -- ./server"}}
			}
			return execRun(cmd.Context(), o, args)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false) // what follows the command is the command's
	f.BoolVar(&o.portOnly, "port-only", false, "the command listens by itself, on {port} or $PORT")
	f.StringArrayVarP(&o.names, "name", "n", nil, "only the endpoint of that `NAME`; may be repeated")
	f.Var(&o.timeout, "timeout", "for how long to wait for the daemon")
	return cmd
}

// execRun becomes the command. It returns only if that fails.
func execRun(ctx context.Context, o execOptions, args []string) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return lookup(args[0], err) // before anything is reserved
	}
	limited, cancel := ctx, context.CancelFunc(func() {})
	if o.timeout.duration() != config.Infinity {
		limited, cancel = context.WithTimeout(ctx, o.timeout.duration())
	}
	defer cancel()
	a := asker{client: api.NewClient(api.Socket), names: o.names}
	defer a.client.Close()
	env := os.Environ()
	if o.portOnly || slices.ContainsFunc(args, namesPort) {
		if err := a.reserve(limited, false); err != nil {
			return err
		}
		if args, err = withPorts(args, a.ports); err != nil {
			return err
		}
		env = portEnvironment(env, a.ports)
	} else {
		if err := a.listen(limited); err != nil {
			return err
		}
		a.keep(limited)
		if env, err = passListeners(env, a.ports, a.listeners); err != nil {
			return err
		}
	}
	// What systemd has its services start with, and Go's runtime has taken
	// away: a server in C that counts on it would die of a client that is gone.
	signal.Ignore(unix.SIGPIPE)
	// syscall's, not unix's: it gives the limit of open files back that Go has
	// raised for itself.
	return cannotStart(args[0], syscall.Exec(path, args, env))
}
