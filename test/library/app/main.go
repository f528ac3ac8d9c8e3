// Command app is a program that uses the library, in either of its APIs, for the
// tests of it.
//
//	app -api idiomatic -name myapp -port 8080 -version v2
//
// It answers /version and /stream as test/server does. On stdout it says what
// happens, one word a line: listening, ready, settled, done, ended.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/switcheroo/switcheroo"
)

type options struct {
	api, name, version, listen string
	port                       int
	abrupt, resets, never      bool
	standby, drain             time.Duration
	probeTimeout               time.Duration
	probe                      string
	iptables, ip6tables        string
	backend                    string
	ports                      string
	scope                      int
	hang                       time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.api, "api", "idiomatic", "idiomatic, compatible, sudo or command")
	flag.StringVar(&o.name, "name", "myapp", "service")
	flag.StringVar(&o.version, "version", "v1", "version to answer with")
	flag.IntVar(&o.port, "port", 8080, "public port")
	flag.StringVar(&o.listen, "listen", "", "endpoints instead, with commas between")
	flag.BoolVar(&o.abrupt, "abrupt", false, "end at SIGTERM, at once")
	flag.BoolVar(&o.resets, "resets", false, "reset every fiftieth connection")
	flag.BoolVar(&o.never, "never-accepts", false, "listen, and accept nothing")
	flag.DurationVar(&o.standby, "standby", -1, "Options.Standby")
	flag.DurationVar(&o.drain, "drain", 2*time.Minute, "Options.Drain")
	flag.DurationVar(&o.hang, "hang-after", 0, "accept nothing any more, so long after the start")
	flag.StringVar(&o.probe, "probe", "", "Options.Probe")
	flag.DurationVar(&o.probeTimeout, "probe-timeout", 30*time.Second, "Options.ProbeTimeout")
	flag.StringVar(&o.iptables, "iptables", "", "the command to use as iptables")
	flag.StringVar(&o.ip6tables, "ip6tables", "", "the command to use as ip6tables")
	flag.StringVar(&o.backend, "backend", "", "Options.Backend")
	flag.StringVar(&o.ports, "ports", "", "range of private ports, as in 40400-40499")
	flag.IntVar(&o.scope, "scope", 0, "Options.Scope, or the flags")
	list := flag.Bool("list", false, "print what there is, and end")
	cleanup := flag.Bool("cleanup", false, "remove the rules, and end")
	flag.Parse()
	var err error
	switch {
	case *list:
		err = printServices(o)
	case *cleanup:
		err = switcheroo.Cleanup(context.Background(), switcheroo.Options{Name: o.name})
	default:
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "app: error:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	term, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if o.api == "idiomatic" {
		return idiomatic(term, o)
	}
	return compatible(term, o)
}

func printServices(o options) error {
	all, err := switcheroo.List(context.Background(), switcheroo.Options{})
	for _, s := range all {
		fmt.Println(s.Name, s.Listen, "scope", s.Scope)
		for _, p := range s.Processes {
			fmt.Println("port", p.Port, "alive", p.Alive, "current", p.Current, "told", p.Told)
		}
	}
	return err
}

func say(words ...any) { fmt.Println(words...) }

func (o options) portRange() (first, last int) {
	if o.ports != "" {
		fmt.Sscanf(o.ports, "%d-%d", &first, &last)
	}
	return first, last
}

func command(path string) func(args ...string) *exec.Cmd {
	if path == "" {
		return nil
	}
	return func(args ...string) *exec.Cmd { return exec.Command(path, args...) }
}

func idiomatic(term context.Context, o options) error {
	listen := []string{fmt.Sprint(o.port)}
	if o.listen != "" {
		listen = strings.Split(o.listen, ",")
	}
	first, last := o.portRange()
	h, err := switcheroo.Listen(term, switcheroo.Options{
		Name: o.name, Listen: listen, PortMin: first, PortMax: last, Scope: switcheroo.Scope(o.scope),
		Probe: o.probe, ProbeTimeout: o.probeTimeout, Standby: o.standby, Drain: o.drain,
		Iptables: command(o.iptables), IP6tables: command(o.ip6tables), Backend: switcheroo.Backend(o.backend),
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	defer h.Close()
	say("listening", h.Port())
	server := newServer(o)
	server.serve(h.Listener())
	if err := h.Ready(term); err != nil {
		return err
	}
	say("ready")
	go func() {
		<-h.Settled()
		say("settled")
	}()
	<-h.Done()
	say("done")
	if o.abrupt {
		os.Exit(0)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.Withdraw(ctx); err != nil {
		return err
	}
	if err := h.Drain(ctx); err != nil {
		return err
	}
	err = server.http.Shutdown(ctx)
	say("ended")
	return err
}
