// Switcherood moves public TCP ports between the versions of a server as
// systemd starts them, without losing a connection. See switcherood(8).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/config"
)

// version is set by the build: -ldflags "-X main.version=1.2.3".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit statuses, documented in switcherood(8).
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// usageError is an error in how the command was called.
type usageError struct{ error }

// hinted is an error with something to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// Hint says what to do about the error.
func (h hinted) Hint() string { return h.hint }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := command(stdout, stderr)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "switcherood: error: %v\n", err)
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintf(stderr, "switcherood: hint: %s\n", h.Hint())
	}
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(stderr, `switcherood: hint: see "switcherood --help"`)
		return exitUsage
	}
	return exitError
}

func command(stdout, stderr io.Writer) *cobra.Command {
	o := options{paths: defaultPaths(), config: config.DaemonPath, stderr: stderr}
	var cleanup bool
	cmd := &cobra.Command{
		Use:   "switcherood",
		Short: "Move public TCP ports to new versions of servers without losing a connection",
		Long: `Switcherood watches systemd for units that have an [X-Switcheroo] section. When
a new instance is ready, it points the public port at it, lets the old instance
finish its connections, and stops it. It is started by switcherood.service.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unexpected argument %q: switcherood takes options only", args[0])}
			}
			return nil
		},
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("config") {
				if _, err := os.Stat(o.config); err != nil {
					return fmt.Errorf("--config: %w", err)
				}
			}
			if os.Geteuid() != 0 {
				return hinted{errors.New("not root: rules and units cannot be changed"), `start it with "systemctl start switcherood"`}
			}
			if cleanup {
				return clean(cmd.Context(), o, stdout)
			}
			return serve(cmd.Context(), o)
		},
	}
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.SetVersionTemplate("switcherood {{.Version}}\n")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.CompletionOptions.DisableDefaultCmd = true
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.config, "config", o.config, "read the daemon's settings from `FILE` and FILE.d/*.conf")
	f.StringVar(&o.logLevel, "log-level", "", "log `LEVEL`: debug, info, warning or error; overrides LogLevel=")
	f.StringVar(&o.metrics, "metrics-listen", "", "serve /metrics on `ADDRESS:PORT` as well; overrides MetricsListen=")
	f.BoolVar(&cleanup, "cleanup", false, "remove every rule of switcherood from the kernel, and exit")
	return cmd
}
