// Package bench measures, on a real host with a real daemon, how long a switch
// takes and what the daemon costs while nothing happens. `make bench` runs it
// and prints its tables. Nothing here fails for being slow.
package bench

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/bench/event"
	"github.com/switcheroo/switcheroo/test/host"
)

var backends = []string{"iptables-nft", "iptables-legacy"}

const (
	witness = "/opt/bench/witness"

	// template is the service that is switched. Old ones go at once, so that
	// each switch finds the host as the one before did.
	template = `[Unit]
Wants=switcherood.service
After=switcherood.service

[Service]
Type=notify
DynamicUser=yes
ExecStart=` + witness + ` serve %i

[X-Switcheroo]
Listen=8080
StandbySec=0

[Install]
WantedBy=multi-user.target
`
)

// stage is a host with switcherood running, and a witness.
type stage struct {
	testing.TB
	*host.Host
	trace   trace
	version int // of the instance that was deployed last
}

// open boots the host. files are put on it before.
func open(tb testing.TB, backend string, files map[string]string) *stage {
	tb.Helper()
	unit, err := os.ReadFile(filepath.Join("..", "..", "packaging", "systemd", "switcherood.service"))
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]string{
		"/etc/systemd/system/switcherood.service": string(unit),
		"/etc/systemd/system/bench@.service":      template,
		"/etc/switcheroo/switcherood.conf":        "[Switcherood]\nBackend=" + backend + "\n",
	}
	maps.Copy(all, files)
	s := &stage{TB: tb}
	s.Host = host.Start(tb, host.Options{Files: all, Binds: map[string]string{
		"/usr/sbin/switcherood": host.Build(tb, "github.com/switcheroo/switcheroo/cmd/switcherood"),
		witness:                 host.Build(tb, "github.com/switcheroo/switcheroo/test/bench/witness"),
	}})
	s.systemctl("start", "switcherood")
	s.watch(backend)
	return s
}

// watch starts the witness, and waits until it misses nothing.
func (s *stage) watch(backend string) {
	s.Helper()
	// Ahead of others on a busy machine, or its times would be late. It is
	// killed with the host.
	cmd := s.Cmd(context.Background(), "nice", "-n", "-20", witness, "watch", backend)
	out, in, err := os.Pipe()
	if err != nil {
		s.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, os.Stderr
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	in.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.trace.end(event.Read(out, s.trace.add))
		out.Close()
	}()
	s.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		<-ended
	})
	s.await("the witness watches", func(events []event.Event) bool {
		_, any := first(events, event.Event{Kind: event.Watching})
		return any
	})
}

func (s *stage) systemctl(args ...string) string {
	s.Helper()
	out, err := s.Systemctl(s.Context(), args...)
	if err != nil {
		s.Fatalf("systemctl %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(out)
}

// deploy starts the next version of the service, waits until it has the
// traffic and the one before is gone, and returns what happened.
func (s *stage) deploy() (version string, events []event.Event) {
	s.Helper()
	s.trace.forget()
	before := s.unit()
	s.version++
	version = s.unit()
	s.systemctl("start", "bench@"+version)
	events = s.await("rules lead to "+version, func(events []event.Event) bool {
		_, ok := measure(events, version)
		return ok
	})
	if s.version > 1 {
		s.await(before+" is told to go", func(events []event.Event) bool {
			_, any := first(events, event.Event{Kind: event.Stopping, Unit: before})
			return any
		})
	}
	// What comes after that is of no use here, and must not be in the way of
	// the next one.
	s.quiet(250 * time.Millisecond)
	return version, events
}

func (s *stage) unit() string { return fmt.Sprint("v", s.version) }

// await waits until what the witness told since the trace was last forgotten
// satisfies ok, and returns it.
func (s *stage) await(what string, ok func([]event.Event) bool) []event.Event {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 30*time.Second)
	defer cancel()
	for {
		events, more, err := s.trace.since()
		if ok(events) {
			return events
		}
		if err != nil {
			s.Fatalf("%s: %v", what, err)
		}
		select {
		case <-more:
		case <-ctx.Done():
			s.Fatalf("not within 30 s: %s; the witness told %+v", what, events)
		}
	}
}

// quiet waits until the witness has told nothing for as long as d.
func (s *stage) quiet(d time.Duration) {
	s.Helper()
	for {
		_, more, err := s.trace.since()
		if err != nil {
			s.Fatal(err)
		}
		select {
		case <-more:
		case <-time.After(d):
			return
		}
	}
}

// run runs a command of the witness in the host and returns what it tells.
func (s *stage) run(args ...string) []event.Event {
	s.Helper()
	out, err := s.Cmd(s.Context(), append([]string{witness}, args...)...).Output()
	if err != nil {
		var said string
		if exit, ok := err.(*exec.ExitError); ok {
			said = string(exit.Stderr)
		}
		s.Fatalf("witness %s: %v: %s", strings.Join(args, " "), err, said)
	}
	var events []event.Event
	if err := event.Read(strings.NewReader(string(out)), func(e event.Event) { events = append(events, e) }); err != nil {
		s.Fatal(err)
	}
	return events
}
