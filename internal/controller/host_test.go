package controller

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// host stands for what outlives a daemon: systemd, the kernel, and files. Its
// time is that of the synctest bubble that it is made in.
type host struct {
	t     *testing.T
	epoch time.Time
	ctx   context.Context
	group sync.WaitGroup

	mu       sync.Mutex
	units    map[string]*fakeUnit
	started  map[string]int
	enabled  map[string]bool
	kernel   kernel
	state    []byte // the Store's
	current  []byte
	booted   time.Duration
	lastPort uint16
	kept     map[string]uint16 // listeners, and their ports, in systemd's store
	waiting  map[uint16]int    // connections in the queues of those that nobody accepts on

	daemon *daemon
	calls  int                     // by daemons, so far
	before func(call string) error // looks at each call, without mu
	events func(Event) []Event     // what becomes of an event on its way
	faulty bool                    // no wonder if rules are not what they should be
	stops  []string                // units for which StopUnit was called

	remembers int        // what conntrack remembers of public ports
	forgot    [][]uint16 // the ports that Forget was called for
	log       bytes.Buffer
}

// daemon is one process: when it is dead, its calls have no effect.
type daemon struct {
	*host
	*Controller
	events chan Event
	cancel context.CancelFunc
	done   chan struct{}
	ready  atomic.Bool
	dead   bool
}

// bubble runs f with a host in a synctest bubble.
func bubble(t *testing.T, f func(*host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := &host{t: t, epoch: time.Now(), ctx: ctx, booted: time.Minute, lastPort: 10000,
			units: map[string]*fakeUnit{}, started: map[string]int{}, enabled: map[string]bool{}}
		h.kernel.families = [2]map[string]installed{{}, {}}
		defer func() {
			h.kill()
			cancel()
			h.group.Wait()
			if h.logged("does not settle") > 0 {
				t.Error("a plan did not settle")
			}
			if t.Failed() {
				t.Logf("log:\n%s", h.log.String())
			}
		}()
		f(h)
	})
}

// now is CLOCK_MONOTONIC.
func (h *host) now() time.Duration { return time.Since(h.epoch) + time.Hour }

// run starts a daemon, which first hears of everything that is loaded.
func (h *host) run() *daemon {
	ctx, cancel := context.WithCancel(h.ctx)
	d := &daemon{host: h, events: make(chan Event, 10000), cancel: cancel, done: make(chan struct{})}
	d.Controller = New(Options{Units: d, Router: d, Gate: d, Sockets: d, Prober: d, Store: d, Keeper: d, Now: h.now,
		Log:   slog.New(slog.NewTextHandler(logWriter{h}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Ready: func() { d.ready.Store(true) }})
	h.mu.Lock()
	h.daemon = d
	h.resync()
	h.mu.Unlock()
	go func() {
		defer close(d.done)
		if err := d.Controller.Run(ctx, d.events); err != nil {
			h.t.Errorf("Run: %v", err)
		}
	}()
	return d
}

// kill ends the daemon, if there is one, in whatever it is doing.
func (h *host) kill() {
	h.mu.Lock()
	d := h.daemon
	h.daemon = nil
	if d != nil {
		d.dead = true
		d.cancel()
	}
	h.kernel.lockedBy = nil // as a flock is
	h.mu.Unlock()
	if d != nil {
		<-d.done
	}
}

// errDead is what a dead daemon would have got.
var errDead = errors.New("the daemon is dead")

// enter is how each call of a daemon begins. It returns with mu held.
func (d *daemon) enter(ctx context.Context, call string, takes time.Duration) error {
	if err := sleep(ctx, takes); err != nil {
		d.mu.Lock()
		return err
	}
	d.mu.Lock()
	if d.dead {
		return errDead
	}
	d.calls++
	before := d.before
	if before == nil {
		return nil
	}
	d.mu.Unlock()
	err := before(call)
	d.mu.Lock()
	if d.dead {
		return errDead
	}
	return err
}

// do runs f with mu held.
func (h *host) do(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// die is for a call's hook: the daemon ends there and then.
func (h *host) die() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.daemon != nil {
		h.daemon.dead = true
		h.daemon.cancel()
	}
}

type logWriter struct{ h *host }

func (w logWriter) Write(b []byte) (int, error) {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	_, line, _ := bytes.Cut(b, []byte(" "))
	fmt.Fprintf(&w.h.log, "%10s %s", (w.h.now() - time.Hour).Round(time.Millisecond), line)
	return len(b), nil
}

// logged counts the log lines that have all of words in them.
func (h *host) logged(words ...string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for line := range strings.Lines(h.log.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

// until waits until ok, for limit at most.
func (h *host) until(what string, limit time.Duration, ok func() bool) {
	h.t.Helper()
	for began := time.Now(); ; {
		synctest.Wait()
		if ok() {
			return
		}
		waited := time.Since(began)
		if waited > limit {
			h.t.Fatalf("%s: not within %s\n%s", what, limit, h.summary())
		}
		time.Sleep(min(max(waited/20, 5*time.Millisecond), time.Second/4))
	}
}

// serves waits until unit has the traffic of service.
func (h *host) serves(service, unit string) {
	h.t.Helper()
	h.until(unit+" serves "+service, time.Minute, func() bool { return h.serving(service) == unit })
}

// is waits until unit is in a state.
func (h *host) is(unit, active string) {
	h.t.Helper()
	h.until(unit+" is "+active, 10*time.Minute, func() bool { return h.active(unit) == active })
}

func (h *host) active(unit string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.units[unit]; u != nil {
		return u.Active
	}
	return "inactive"
}

// summary tells how things stand, without times: two lives of a host that end
// alike have the same.
func (h *host) summary() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h.units)) {
		fmt.Fprintf(&b, "unit %s %s\n", name, h.units[name].Active)
	}
	for _, name := range slices.Sorted(maps.Keys(h.enabled)) {
		if h.enabled[name] {
			fmt.Fprintf(&b, "enabled %s\n", name)
		}
	}
	for f, services := range h.kernel.families {
		for _, name := range slices.Sorted(maps.Keys(services)) {
			fmt.Fprintf(&b, "IPv%d %s %s %v\n", 4+2*f, name, services[name].Activation, services[name].Targets)
		}
	}
	fmt.Fprintf(&b, "guarded %v\n", h.kernel.guarded)
	var s State
	if err := json.Unmarshal(h.state, &s); err != nil && len(h.state) > 0 {
		fmt.Fprintf(&b, "state: %v\n", err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		svc := s.Services[name]
		fmt.Fprintf(&b, "service %s", name)
		if svc.Current != nil {
			fmt.Fprintf(&b, " current %s down %v %v", svc.Current.ID, svc.Down, svc.Current.Targets)
		}
		for _, o := range svc.Old {
			fmt.Fprintf(&b, " old %s rejected %v promoted %v drained %v stopping %v ended %v", o.ID, o.Rejected, o.Promoted, o.Drained, o.Stopping, o.Ended)
		}
		for _, id := range slices.Sorted(maps.Keys(svc.Refused)) {
			fmt.Fprintf(&b, " refused %s", id)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "next boot %s\n", h.current)
	return b.String()
}

// supervise starts the daemon again whenever it is dead, as systemd does.
func (h *host) supervise() {
	h.run()
	h.group.Go(func() {
		for h.ctx.Err() == nil {
			h.mu.Lock()
			d := h.daemon
			h.mu.Unlock()
			if d == nil {
				return
			}
			select {
			case <-d.done:
			case <-h.ctx.Done():
				return
			}
			if sleep(h.ctx, 100*time.Millisecond) != nil {
				return
			}
			h.mu.Lock()
			alive := h.daemon == d
			h.kernel.lockedBy = nil
			h.mu.Unlock()
			if !alive {
				return
			}
			h.run()
		}
	})
}

// watchRules fails the test when rules point at what does not run for longer
// than a running daemon may take to see to it.
func (h *host) watchRules(patience time.Duration) {
	since := map[string]time.Duration{}
	h.group.Go(func() {
		for sleep(h.ctx, 250*time.Millisecond) == nil {
			h.mu.Lock()
			up := h.daemon != nil && !h.daemon.dead && !h.faulty
			for f, services := range h.kernel.families {
				for name, in := range services {
					key := fmt.Sprint(f, name)
					if _, ok := since[key]; !ok || !up || h.runs(in.Activation) || h.queues(in.Activation) {
						since[key] = h.now()
					}
					if took := h.now() - since[key]; took > patience {
						h.t.Errorf("at %s: for %s the rules of %s have pointed at %s, which does not run", h.now()-time.Hour, took, name, in.Activation)
						since[key] = h.now()
					}
				}
			}
			h.mu.Unlock()
		}
	})
}

func (h *host) runs(activation string) bool {
	for _, u := range h.units {
		if u.Invocation == activation {
			return u.listeners != nil
		}
	}
	return false
}
