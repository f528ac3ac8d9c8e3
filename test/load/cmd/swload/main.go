// Command swload runs the clients of package load.
//
//	swload run -target 10.9.0.1:80 -short 16 -keepalive 16 -streams 4 -duration 30s
//	swload run -target 10.9.0.1:80 -echo 4 -tls 4 -websocket 4 -http2 4 -pause 50ms -samples -duration 30s
//	swload run -target 10.9.0.1:6379 -protocol redis -short 16 -rate 200 -duration 30s
//	swload once 10.9.0.1:80
//	swload hold 10.9.0.1:80
//
// run prints JSON, one event a line, the result last; with -samples that has
// the latency of every request in it. SIGTERM and SIGINT end it early, after
// the requests under way. once sends one request and prints the version that
// answered. hold keeps one connection: it prints its own address, then a
// version for each line that it reads.
//
// Exit status: 0 if nothing failed, 1 if something did, 2 for wrong usage, 3
// if the clients themselves could not work.
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
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

const (
	exitFailed  = 1
	exitUsage   = 2
	exitInvalid = 3
)

// usageError is an error in the arguments.
type usageError struct{ error }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	verbs := map[string]func() error{
		"run":  func() error { return runLoad(ctx, args[1:], stdout, stderr) },
		"once": func() error { return once(ctx, args[1:], stdout, stderr) },
		"hold": func() error { return hold(ctx, args[1:], stdin, stdout, stderr) },
	}
	err := error(usageError{errors.New("usage: swload run, once or hold")})
	if len(args) > 0 && verbs[args[0]] != nil {
		err = verbs[args[0]]()
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "swload: error:", err)
	var usage usageError
	var failure load.Failure
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errFailed), errors.As(err, &failure) && failure.Class != load.ClientError:
		return exitFailed
	}
	return exitInvalid
}

var errFailed = errors.New("connections failed")

func runLoad(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c load.Config
	flags := flag.NewFlagSet("swload run", flag.ContinueOnError)
	flags.SetOutput(stderr)
	c.Flags(flags)
	table := flags.Bool("table", false, "print the result as a table, on stderr, as well")
	live := flags.Bool("progress", false, "print what was seen so far once a second")
	if err := flags.Parse(args); err != nil {
		return usageError{err}
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	var progress func(*load.Result)
	if *live {
		progress = func(r *load.Result) { load.Event{Progress: r}.Encode(stdout) }
	}
	result, err := load.Run(ctx, c, progress)
	if err != nil {
		return usageError{err}
	}
	if err := (load.Event{Result: result}).Encode(stdout); err != nil {
		return err
	}
	if *table {
		if err := result.Table(stderr); err != nil {
			return err
		}
	}
	if err := result.Valid(); err != nil {
		return err
	}
	if n := result.Failed(); n > 0 {
		return fmt.Errorf("%d %w, the first: %s", n, errFailed, result.Failures[0])
	}
	return nil
}

// target parses the arguments of once and hold.
func target(verb string, args []string, stderr io.Writer) (string, time.Duration, error) {
	flags := flag.NewFlagSet("swload "+verb, flag.ContinueOnError)
	flags.SetOutput(stderr)
	timeout := flags.Duration("timeout", 10*time.Second, "how long a connect, or the next byte, may take")
	if err := flags.Parse(args); err != nil {
		return "", 0, usageError{err}
	}
	if flags.NArg() != 1 {
		return "", 0, usageError{fmt.Errorf("usage: swload %s [-timeout 10s] ADDRESS:PORT", verb)}
	}
	return flags.Arg(0), *timeout, nil
}
