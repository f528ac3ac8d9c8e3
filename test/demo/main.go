// Command demo shows Switcheroo at work on a private host that real systemd
// runs, with clients from another host and from that host itself: a deploy, one
// that never gets ready, and one that crashes. It exits with status 0 if
// no client lost anything but what the crashed version took with it.
//
//	make demo
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// Exit statuses. A signal's is 128 and its number, as in a shell.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage: demo [--daemon PATH] [--json]
       demo --standalone [--switcheroo PATH] [--json]

Boots a private host with real systemd and puts clients on it; then deploys
four versions of a server with "systemctl start" and shows each step. It takes
about half a minute, needs root, and changes nothing outside of its namespaces.
With --standalone there is no systemd: three versions, each by "switcheroo run".

  --daemon PATH   the switcherood to show; by default bin/switcherood, which
                  "make build" leaves there, or else one that it builds
  --switcheroo PATH
                  the same for --standalone, by default bin/switcheroo
  --json          print the result on stdout as JSON, and the story on stderr
  --help          print this

NO_COLOR=1 turns colours off.
Exit status: 0 if nothing was lost, 1 if something was or the demo could not
run, 2 for wrong usage.
`

type options struct {
	standalone bool
	daemon     string
	switcheroo string
	json       bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.daemon, "daemon", "", "")
	flags.StringVar(&o.switcheroo, "switcheroo", "", "")
	flags.BoolVar(&o.standalone, "standalone", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var err error
	if o.daemon, err = programOf("--daemon", o.daemon); err != nil {
		return o, err
	}
	o.switcheroo, err = programOf("--switcheroo", o.switcheroo)
	return o, err
}

// programOf returns the absolute path of one that an option names.
func programOf(option, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s: %w", option, err)
	}
	return filepath.Abs(path)
}

// interrupted is why a demo was ended from outside.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return i.signal.String() }

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitOK
	case err != nil:
		report(stderr, hinted{err, "demo --help lists what it takes"})
		return exitUsage
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	go func() {
		if s, ok := (<-signals).(syscall.Signal); ok {
			cancel(interrupted{s})
		}
	}()
	told := stdout
	if o.json {
		told = stderr
	}
	show := perform
	if o.standalone {
		show = performStandalone
	}
	r, err := show(ctx, o, newScreen(told))
	var ended interrupted
	switch {
	case errors.As(context.Cause(ctx), &ended): // whatever else that led to
		fmt.Fprintf(stderr, "\ndemo: ended by %s; nothing of it is left\n", ended)
		return 128 + int(ended.signal)
	case err != nil:
		report(stderr, err)
		return exitFailed
	}
	if o.json {
		out := json.NewEncoder(stdout)
		out.SetIndent("", "  ")
		if err := out.Encode(r); err != nil {
			report(stderr, err)
			return exitFailed
		}
	}
	if !r.OK {
		return exitFailed
	}
	return exitOK
}

func report(w io.Writer, err error) {
	fmt.Fprintf(w, "demo: error: %v\ndemo: hint: %s\n", err, hintOf(err))
}

// perform makes the stage, tells the story on it and takes it down again.
func perform(ctx context.Context, o options, out *screen) (_ *result, err error) {
	if err := check(ctx); err != nil {
		return nil, err
	}
	root, err := findRoot(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "switcheroo-demo-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out.title("Switcheroo: a new version goes live by systemctl start, and no client notices")
	out.say("Building a server and clients to show it with, and booting a host ...")
	b, err := build(ctx, root, dir, "switcherood", o.daemon)
	if err != nil {
		return nil, err
	}
	stage, err := set(ctx, root, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stage.close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	entries, err := follow(ctx, stage.host)
	if err != nil {
		return nil, err
	}
	s := &story{stage: stage, screen: out, entries: entries, record: record{}}
	r, err := s.tell(ctx)
	if err != nil {
		return nil, err
	}
	out.title("What the clients saw")
	r.table(out.w)
	r.details(out.w)
	out.verdict(r)
	return r, nil
}
