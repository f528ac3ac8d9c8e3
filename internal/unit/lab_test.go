package unit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

const section = "\n[X-Switcheroo]\nListen=443\n"

// template returns the text of a unit whose [Service] section has these lines.
func template(lines ...string) string {
	return "[Service]\n" + strings.Join(lines, "\n") + section
}

// boot boots a host with unit files, by name, and the app at /app.
func boot(t *testing.T, units map[string]string) *host.Host {
	t.Helper()
	files := map[string]string{}
	for name, text := range units {
		files["/etc/systemd/system/"+name] = text
	}
	return host.Start(t, host.Options{Files: files, Binds: map[string]string{"/app": host.Build(t, "./testdata/app")}})
}

func root(h *host.Host) string { return fmt.Sprintf("/proc/%d/root", h.PID()) }

// systemctl runs systemctl in the host; it must succeed.
func systemctl(t *testing.T, h *host.Host, args ...string) string {
	t.Helper()
	out, err := h.Systemctl(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func writeFile(t *testing.T, h *host.Host, name, text string) {
	t.Helper()
	if err := h.WriteFile(name, text); err != nil {
		t.Fatal(err)
	}
}

// sh runs a shell command in the host; it must succeed.
func sh(t *testing.T, h *host.Host, command string) string {
	t.Helper()
	out, err := h.Run(t.Context(), "sh", "-c", command)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// logBuffer is a log that tests read.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func newClient(t *testing.T, h *host.Host, log *slog.Logger) *Client {
	c := New(Options{Root: root(h), Log: log})
	t.Cleanup(c.Close)
	return c
}

// watching is a running watch. Its methods are for the test's goroutine.
type watching struct {
	*Client
	t      *testing.T
	events chan Event
	log    *logBuffer
	seen   []Event           // all that were taken
	units  map[string]Status // the picture that they make
}

// watch starts a watch, of which no event is lost, and waits for its first.
func watch(t *testing.T, h *host.Host) *watching {
	t.Helper()
	return watchInto(t, h, make(chan Event, 4096))
}

func watchInto(t *testing.T, h *host.Host, events chan Event) *watching {
	t.Helper()
	log := &logBuffer{}
	w := &watching{Client: newClient(t, h, log.logger()), t: t, events: events, log: log}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, w.events) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if strings.Contains(log.String(), "refuses") {
			t.Error("a read was refused")
		}
		if t.Failed() {
			t.Logf("watch log:\n%s", log)
		}
	})
	w.await("first event", func(e Event) bool { return e.Kind == Resync })
	return w
}

// take takes one event, or gives up after some time, with ok false.
func (w *watching) take(timeout time.Duration) (e Event, ok bool) {
	select {
	case e = <-w.events:
	case <-time.After(timeout):
		return Event{}, false
	}
	w.seen = append(w.seen, e)
	switch e.Kind {
	case Resync:
		w.units = map[string]Status{}
		for _, u := range e.Units {
			w.units[u.Name] = u
		}
	case Changed:
		w.units[e.Unit.Name] = e.Unit
	case Gone:
		delete(w.units, e.Name)
	}
	return e, true
}

// await takes events up to one that is as wanted.
func (w *watching) await(what string, wanted func(Event) bool) Event {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		e, ok := w.take(time.Until(deadline))
		if !ok {
			w.t.Fatalf("no %s; events:\n%s", what, w.history(""))
		}
		if wanted(e) {
			return e
		}
	}
}

// awaitUnit takes events until the unit is as wanted.
func (w *watching) awaitUnit(name, what string, wanted func(Status) bool) Status {
	w.t.Helper()
	if u, ok := w.units[name]; ok && wanted(u) {
		return u
	}
	w.await(name+" "+what, func(e Event) bool {
		u, ok := w.units[name]
		return ok && e.Kind != Lost && wanted(u)
	})
	return w.units[name]
}

func (w *watching) awaitActive(name string) Status {
	w.t.Helper()
	return w.awaitUnit(name, "active", func(u Status) bool { return u.Active == "active" })
}

func (w *watching) awaitGone(name string) {
	w.t.Helper()
	if _, ok := w.units[name]; ok {
		w.await(name+" gone", func(Event) bool { _, ok := w.units[name]; return !ok })
	}
}

// settle takes events until none has come for a while.
func (w *watching) settle() {
	for {
		if _, ok := w.take(150 * time.Millisecond); !ok {
			return
		}
	}
}

// history is what the events said of one unit, or of all, a line each.
func (w *watching) history(name string) string { return w.historyFrom(0, name) }

func (w *watching) historyFrom(i int, name string) string {
	var b strings.Builder
	for _, e := range w.seen[i:] {
		switch {
		case e.Kind == Changed && (name == "" || e.Unit.Name == name):
			fmt.Fprintf(&b, "changed %s\n", brief(e.Unit))
		case e.Kind == Gone && (name == "" || e.Name == name):
			fmt.Fprintf(&b, "gone %s\n", e.Name)
		case e.Kind == Resync:
			fmt.Fprintf(&b, "resync\n")
			for _, u := range e.Units {
				if name == "" || u.Name == name {
					fmt.Fprintf(&b, "  %s\n", brief(u))
				}
			}
		case e.Kind == Lost:
			fmt.Fprintln(&b, "lost")
		}
	}
	return b.String()
}

func brief(u Status) string {
	return fmt.Sprintf("%s %s/%s job=%q result=%s inv=%.6s restarts=%d pid=%d cgroup=%s", u.Name, u.Active, u.Sub, u.Job, u.Result, u.Invocation, u.Restarts, u.MainPID, u.ControlGroup)
}

// names returns the names of the units in the picture.
func (w *watching) names() []string { return slices.Sorted(maps.Keys(w.units)) }
