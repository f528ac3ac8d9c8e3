package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
)

// app is how a unit behaves.
type app struct {
	file       string        // of [X-Switcheroo]; default: Listen=443
	kind       string        // Type=; default: notify
	readyAfter time.Duration // negative: never, and fails after as long
	dieAfter   time.Duration // its being ready
	sickAfter  time.Duration // its being ready: probes fail from then on
	restart    time.Duration // RestartSec= of Restart=always; 0: no restart
	post       time.Duration // how long its ExecStartPost= takes
	execStop   time.Duration // how long its ExecStop= takes
	stopTakes  time.Duration // from SIGTERM
	killed     bool          // it has to be, by TimeoutStopSec=
	busy       time.Duration // how long its connections take to end once it is old
	queued     time.Duration // how long its queues take to empty
	listen     []Listener    // port 0: one of its own. Default: [::]:0
	deaf       bool          // it listens nowhere
	port       uint16        // for default listeners
	bindAfter  time.Duration // its start
	section    bool          // without the section at all
	exec       bool          // it is started by switcheroo exec
}

type fakeUnit struct {
	Unit
	app
	listeners []Listener
	boundAt   time.Duration
	life      int // counts starts and stops, to tell whether a plan for later still holds
}

// put writes a unit's files without starting it, or changes its behaviour.
func (h *host) put(name string, a app) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.units[name]
	if u == nil {
		u = &fakeUnit{Unit: Unit{Name: name, Active: "inactive", Sub: "dead"}}
		h.units[name] = u
	}
	u.app = a
	u.Type = a.kind
	if u.Type == "" {
		u.Type = "notify"
	}
	text := "Listen=443"
	if a.file != "" {
		text = a.file
	}
	u.Files = []config.File{{Path: name, Data: []byte("[X-Switcheroo]\n" + text + "\n")}}
	if a.section {
		u.Files = []config.File{{Path: name, Data: []byte("[Service]\n")}}
	}
}

// edit changes a unit's section and reloads systemd.
func (h *host) edit(name, text string) {
	h.mu.Lock()
	h.units[name].Files = []config.File{{Path: name, Data: []byte(text)}}
	h.mu.Unlock()
	h.reload()
}

func (h *host) reload() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.resync()
}

// start starts a unit as an operator does.
func (h *host) start(name string, a app) {
	h.put(name, a)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.units[name].Restarts = 0
	h.begin(h.units[name])
}

// begin is the start of an activation. The caller holds mu.
func (h *host) begin(u *fakeUnit) {
	if u.Active == "active" || u.Active == "activating" && u.Sub != "auto-restart" {
		return
	}
	h.started[u.Name]++
	u.life++
	u.Invocation = fmt.Sprintf("%s-%d", prefixOf(u.Name), h.started[u.Name])
	u.Active, u.Sub, u.Job, u.Result, u.CGroup = "activating", "start", "start", "success", u.Name
	u.StartedAt = h.now()
	if u.exec {
		h.tell(u)
		h.byExec(u, func() { h.rise(u) })
		return
	}
	u.bind(h)
	h.tell(u)
	h.rise(u)
}

// rise is what becomes of a unit that has been started; the caller holds mu.
func (h *host) rise(u *fakeUnit) {
	if u.readyAfter < 0 {
		h.later(u, -u.readyAfter, func() { h.end(u, "timeout") })
		return
	}
	if u.post > 0 {
		h.later(u, u.readyAfter, func() {
			u.Sub = "start-post"
			h.tell(u)
		})
	}
	h.later(u, u.readyAfter+u.post, func() {
		u.Active, u.Sub, u.Job, u.ReadyAt = "active", "running", "", h.now()
		h.tell(u)
		if u.dieAfter > 0 {
			h.later(u, u.dieAfter, func() { h.end(u, "exit-code") })
		}
	})
}

func (u *fakeUnit) bind(h *host) {
	u.boundAt = h.now() + u.bindAfter
	if u.listeners = slices.Clone(u.app.listen); u.listeners == nil && !u.deaf {
		u.listeners = []Listener{{Addr: netip.AddrPortFrom(netip.IPv6Unspecified(), 0)}}
	}
	port := u.port
	if port == 0 {
		h.lastPort++
		port = h.lastPort
	}
	for i, l := range u.listeners {
		if l.Addr.Port() == 0 {
			u.listeners[i].Addr = netip.AddrPortFrom(l.Addr.Addr(), port)
		}
	}
}

// later runs f after d, with mu held, unless u has been started or stopped
// meanwhile.
func (h *host) later(u *fakeUnit, d time.Duration, f func()) {
	life := u.life
	h.group.Go(func() {
		if sleep(h.ctx, d) != nil {
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if u.life == life {
			f()
		}
	})
}

// crash kills the processes of a unit.
func (h *host) crash(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.end(h.units[name], "signal")
}

// end is the end of a unit's processes; the caller holds mu.
func (h *host) end(u *fakeUnit, result string) {
	u.life++
	u.listeners, u.CGroup, u.Job = nil, "", ""
	u.Result = result
	u.Active, u.Sub = "inactive", "dead"
	if result != "success" {
		u.Active, u.Sub = "failed", "failed"
	}
	h.tell(u)
	if u.restart > 0 && result != "timeout-stop" && result != "success" {
		u.Active, u.Sub = "activating", "auto-restart"
		h.tell(u)
		h.later(u, u.restart, func() {
			u.Restarts++
			h.begin(u)
		})
		return
	}
	if u.Active == "inactive" {
		h.collect(u)
	}
}

// collect unloads a unit.
func (h *host) collect(u *fakeUnit) {
	delete(h.units, u.Name)
	h.send(Event{Kind: Gone, Name: u.Name})
}

// stop stops a unit, and starts it again if again. The caller holds mu.
func (h *host) stop(u *fakeUnit, again bool) {
	if u.Sub == "auto-restart" || u.ended() {
		if !u.ended() || u.Sub == "auto-restart" {
			u.life++
			u.Active, u.Sub, u.Job = "inactive", "dead", ""
			h.tell(u)
			h.collect(u)
		}
		return
	}
	if u.Active == "deactivating" {
		return
	}
	u.life++
	u.Job = "stop"
	if again {
		u.Job = "restart"
	}
	h.tell(u)
	if u.execStop > 0 {
		u.Active, u.Sub = "deactivating", "stop"
		h.tell(u)
	}
	h.later(u, time.Millisecond+u.execStop, func() {
		u.Active, u.Sub = "deactivating", "stop-sigterm"
		u.listeners = nil
		h.tell(u)
		h.later(u, u.stopTakes, func() {
			if again {
				u.Restarts = 0
				u.Active, u.Sub, u.Job = "inactive", "dead", "start"
				h.tell(u)
				h.begin(u)
				return
			}
			if u.killed {
				u.life++
				u.Active, u.Sub, u.Result, u.Job, u.CGroup = "failed", "failed", "timeout", "", ""
				h.tell(u)
				return
			}
			restart := u.restart
			u.restart = 0
			h.end(u, "success")
			u.restart = restart
		})
	})
}

func (h *host) systemctl(verb string, names ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		switch verb {
		case "stop":
			h.stop(h.units[name], false)
		case "restart":
			h.stop(h.units[name], true)
		case "enable":
			h.enabled[name] = true
		case "start":
			h.units[name].Restarts = 0
			h.begin(h.units[name])
		}
	}
}

// tell announces u as it is.
func (h *host) tell(u *fakeUnit) {
	if u.section {
		return // the watcher has no eye for it
	}
	h.send(Event{Kind: Changed, Unit: u.Unit})
}

func (h *host) resync() {
	e := Event{Kind: Resync}
	for _, name := range slices.Sorted(maps.Keys(h.units)) {
		if u := h.units[name]; strings.Contains(string(u.Files[0].Data), "[X-Switcheroo]") {
			e.Units = append(e.Units, u.Unit)
		}
	}
	h.send(e)
}

func (h *host) send(e Event) {
	if h.daemon == nil {
		return
	}
	events := []Event{e}
	if h.events != nil {
		events = h.events(e)
	}
	for _, e := range events {
		h.daemon.events <- e
	}
}

// What the daemon sees of systemd.

func (d *daemon) Status(ctx context.Context, name string) (Unit, error) {
	err := d.enter(ctx, "Status "+name, time.Millisecond)
	defer d.mu.Unlock()
	if err != nil {
		return Unit{}, err
	}
	if u := d.units[name]; u != nil {
		return u.Unit, nil
	}
	return Unit{Name: name, Active: "inactive", Sub: "dead"}, nil
}

func (d *daemon) Listeners(ctx context.Context, u Unit) ([]Listener, error) {
	err := d.enter(ctx, "Listeners "+u.Name, 0)
	defer d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var ls []Listener
	for _, name := range slices.Sorted(maps.Keys(d.units)) {
		if v := d.units[name]; (u.Name == "" || name == u.Name) && d.now() >= v.boundAt {
			ls = append(ls, v.listeners...)
		}
	}
	if u.Name == "" {
		for _, port := range d.kept {
			if !d.bound(port) {
				ls = append(ls, Listener{Addr: netip.AddrPortFrom(netip.IPv6Unspecified(), port)})
			}
		}
	}
	return ls, nil
}

func (d *daemon) Stop(ctx context.Context, name string) error {
	err := d.enter(ctx, "Stop "+name, time.Millisecond)
	defer d.mu.Unlock()
	if err == errIgnore {
		return nil
	}
	if err != nil {
		return err
	}
	if u := d.units[name]; u != nil {
		if service := d.kernel.pointed(u.Invocation); service != "" && u.running() {
			d.t.Errorf("StopUnit(%s), which has the traffic of %s", name, service)
		}
		d.host.stop(u, false)
	}
	d.stops = append(d.stops, name)
	return nil
}

func (d *daemon) ResetFailed(ctx context.Context, name string) error {
	err := d.enter(ctx, "ResetFailed "+name, time.Millisecond)
	defer d.mu.Unlock()
	if err != nil {
		return err
	}
	if u := d.units[name]; u != nil && u.Active == "failed" {
		u.Active, u.Sub = "inactive", "dead"
		d.tell(u)
		d.collect(u)
	}
	return nil
}

func (d *daemon) Enabled(ctx context.Context, name string) (bool, error) {
	err := d.enter(ctx, "Enabled "+name, time.Millisecond)
	defer d.mu.Unlock()
	return d.enabled[name], err
}

func (d *daemon) Enable(ctx context.Context, name string) error {
	err := d.enter(ctx, "Enable "+name, time.Millisecond)
	defer d.mu.Unlock()
	if err == nil {
		d.enabled[name] = true
	}
	return err
}

func (d *daemon) Disable(ctx context.Context, name string) error {
	err := d.enter(ctx, "Disable "+name, time.Millisecond)
	defer d.mu.Unlock()
	if err == nil {
		d.enabled[name] = false
	}
	return err
}

func (d *daemon) BootFinished(ctx context.Context) (time.Duration, error) {
	err := d.enter(ctx, "BootFinished", time.Millisecond)
	defer d.mu.Unlock()
	return d.booted, err
}

func (d *daemon) Probe(ctx context.Context, p config.Probe, addr netip.AddrPort) error {
	err := d.enter(ctx, "Probe", time.Millisecond)
	defer d.mu.Unlock()
	if err != nil {
		return err
	}
	for _, u := range d.units {
		if !slices.ContainsFunc(u.listeners, func(l Listener) bool { return l.Addr == addr }) {
			continue
		}
		if u.sickAfter > 0 && d.now() > u.ReadyAt+u.sickAfter {
			return errors.New("503 Service Unavailable")
		}
		return nil
	}
	return errors.New("connection refused")
}
