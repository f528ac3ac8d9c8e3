// Command server is the server under test, in one of several modes, most of
// them with a fault.
//
//	server -mode quick -version v2 -listen '[::]:0' -ready-after 100ms
//
// Each of its ports speaks HTTP/1.1, HTTP/2 with prior knowledge, both of them
// in TLS, and a raw echo (package wire): the first bytes of a connection tell
// which. Over HTTP it answers /version, /healthz, /stream?seconds=2 (a checkable
// pattern at a steady rate), /ws (a WebSocket that echoes messages) and /echo
// (the connection becomes a raw echo); each response has its version in a
// header. Listeners are printed on stdout, one a line. READY=1 goes to
// $NOTIFY_SOCKET.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/switcheroo/switcheroo/test/pulse"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(2)
		}
		fmt.Fprintln(os.Stderr, "server: error:", err)
		os.Exit(1)
	}
}

type options struct {
	mode       mode
	listen     addresses
	reusePort  bool
	backlog    int // 0: that of the mode
	version    string
	readyAfter time.Duration
	dieAfter   time.Duration // from READY=1; 0: never
	wellFor    time.Duration // from the start, before unhealthy is
	notify     bool
}

// addresses is a flag that may be given several times.
type addresses []string

func (a *addresses) String() string     { return strings.Join(*a, " ") }
func (a *addresses) Set(s string) error { *a = append(*a, s); return nil }

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	name := "quick"
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&name, "mode", name, "one of: "+strings.Join(modeNames(), ", "))
	flags.Var(&o.listen, "listen", "`address` to listen on, repeatable; tcp4: or tcp6: before it keeps to one family; fd: what systemd passed (default [::]:0, both families)")
	flags.BoolVar(&o.reusePort, "reuseport", false, "let others listen on the same port (SO_REUSEPORT)")
	flags.IntVar(&o.backlog, "backlog", 0, "length of the accept queues (default 4096, or what the mode says)")
	flags.StringVar(&o.version, "version", "v1", "version to answer with")
	flags.DurationVar(&o.readyAfter, "ready-after", 0, "how long to wait, listening, before READY=1")
	flags.DurationVar(&o.dieAfter, "die-after", 0, "exit with status 1, at once, this long after READY=1")
	flags.DurationVar(&o.wellFor, "well-for", 0, "how long one that is unhealthy is not, from its start")
	flags.BoolVar(&o.notify, "notify", true, "send READY=1 to $NOTIFY_SOCKET")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	m, ok := modes[name]
	if !ok {
		return o, fmt.Errorf("no mode %q, only %s", name, strings.Join(modeNames(), ", "))
	}
	o.mode = m
	if len(o.listen) == 0 {
		o.listen = addresses{"[::]:0"}
	}
	if m.dies && o.dieAfter == 0 {
		o.dieAfter = 2 * time.Second
	}
	return o, nil
}

func run(args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	term, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go pulse.Watch(term, time.Second, func(d time.Duration) { fmt.Fprintln(stderr, "stood still for", d) })
	s, err := newServer(o.mode, o.version)
	if err != nil {
		return err
	}
	s.wellFor = o.wellFor
	if err := s.listen(o, stdout); err != nil {
		return err
	}
	reloads()
	if !sleep(term, o.readyAfter) {
		return nil
	}
	if o.mode.exitsUnready {
		return errors.New("exiting before READY=1, as told")
	}
	if o.notify && !o.mode.neverReady {
		if err := notify("READY=1"); err != nil {
			return err
		}
	}
	if o.dieAfter > 0 {
		if sleep(term, o.dieAfter) {
			return errors.New("dying, as told")
		}
	}
	<-term.Done()
	if o.mode.abrupt {
		return nil // and the process with its connections
	}
	return s.shutdown()
}

// sleep waits for d and says whether it could.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
