package controller

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/config"
)

// ports asks for the ports of unit.
func (d *daemon) ports(unit string, taken ...uint16) map[string]uint16 {
	d.t.Helper()
	r, err := d.Reserve(d.ctx, unit, taken)
	if err != nil {
		d.t.Fatalf("ports of %s: %v", unit, err)
	}
	all := map[string]uint16{}
	for _, p := range r.Ports {
		all[p.Name] = p.Port
	}
	return all
}

// Each unit has ports of its own, the same ones at each question, and none that
// is public or taken.
func TestReserve(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.until("ready", time.Minute, d.ready.Load)
		if err := d.SetPrivatePorts(h.ctx, config.PortRange{First: 61000, Last: 61005}); err != nil {
			t.Fatal(err)
		}
		h.start(v1, app{file: "Listen=61000", port: 61001})
		h.start(v2, app{file: "Listen=61000\nPort=61002"})
		h.start(v3, app{file: "Listen=61000"})
		h.serves("myapp", v3)
		if got := d.ports(v1); got[""] != 61003 {
			t.Errorf("first: %v", got)
		}
		if got := d.ports(v2); got[""] != 61002 {
			t.Errorf("what its file names: %v", got)
		}
		if got := d.ports(v3); got[""] != 61004 {
			t.Errorf("second: %v", got)
		}
		if got := d.ports(v1); got[""] != 61003 {
			t.Errorf("again: %v", got)
		}
		if got := d.ports(v1, 61003); got[""] != 61005 {
			t.Errorf("what could not be bound: %v", got)
		}
		if got := d.ports(v1, 61004); got[""] != 61005 {
			t.Errorf("somebody else's could not be bound: %v", got)
		}
		h.start("other.service", app{file: "Listen=80"})
		if got := d.ports("other.service"); got[""] != 61003 {
			t.Errorf("what was given back: %v", got)
		}
		h.start("last.service", app{file: "Listen=81"})
		if _, err := d.Reserve(h.ctx, "last.service", nil); !errors.Is(err, ErrNoPorts) {
			t.Errorf("none is left: %v", err)
		}
		if _, err := d.Reserve(h.ctx, "nosuch.service", nil); !errors.Is(err, ErrNoSection) {
			t.Errorf("no such unit: %v", err)
		}
		// The next daemon knows them.
		h.kill()
		d = h.run()
		h.until("ready", time.Minute, d.ready.Load)
		if got := d.ports(v1); got[""] != 61005 {
			t.Errorf("by the next daemon: %v", got)
		}
		h.systemctl("stop", v1)
		h.until("given back", time.Minute, func() bool { return h.saved().Reserved[v1] == nil })
	})
}

// A service with several endpoints has a port for each name.
func TestReserveSeveral(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{exec: true, file: "Listen=http=80 https=443 192.0.2.1:443\nListen=https=8443\n[Service]\nExecStart=switcheroo exec -- x"})
		time.Sleep(time.Second)
		if n := h.logged("already names"); n == 0 {
			t.Error("one name for two ports")
		}
		h.systemctl("stop", v1)
		time.Sleep(time.Second)
		h.start(v1, app{exec: true, file: "Listen=http=80 https=443\n[Service]\nExecStart=switcheroo exec -- x"})
		h.serves("myapp", v1)
		want := map[string]uint16{"http": 61000, "https": 61001}
		if diff := cmp.Diff(want, h.saved().Reserved[v1].Ports); diff != "" {
			t.Error(diff)
		}
		var to []string
		for _, target := range h.service("myapp").Current.Targets {
			to = append(to, fmt.Sprintf("%s->%d", target.Endpoint, target.Port))
		}
		slices.Sort(to)
		if diff := cmp.Diff([]string{"443->61001", "80->61000"}, to); diff != "" {
			t.Error(diff)
		}
	})
}

// A server that does not use the port it was given is found all the same.
func TestReservedAndNotUsed(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.until("ready", time.Minute, d.ready.Load)
		h.start(v1, app{readyAfter: time.Second})
		h.is(v1, "activating")
		d.ports(v1)
		h.serves("myapp", v1)
		if got := h.service("myapp").Current.ports(); got[0] == d.ports(v1)[""] {
			t.Errorf("led to %v", got)
		}
	})
}

// While a restart of the current one is on its way its rule stays; when it ends
// for good the rule goes, and then its listener, once nobody waits there.
func TestKeptWhileRestarted(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{exec: true, restart: 5 * time.Second, stopTakes: time.Second, readyAfter: time.Second})
		h.serves("myapp", v1)
		stays := func(d time.Duration) {
			t.Helper()
			for range d / (50 * time.Millisecond) {
				time.Sleep(50 * time.Millisecond)
				var served bool
				h.do(func() { served = h.kernel.families[0]["myapp"].Activation != "" })
				if !served || h.logged("no other is running") > 0 {
					t.Fatal("its rule was withdrawn")
				}
			}
		}
		h.systemctl("restart", v1)
		stays(10 * time.Second)
		h.crash(v1)
		stays(10 * time.Second)
		h.kill()
		h.crash(v1)
		h.run()
		stays(10 * time.Second)
		h.went("myapp-v1-1", "myapp-v1-2", "myapp-v1-3", "myapp-v1-4")
		port := h.saved().Reserved[v1].Ports[""]
		h.do(func() { h.waiting = map[uint16]int{port: 3} })
		h.systemctl("stop", v1)
		h.serves("myapp", "")
		held := func() (n int) {
			h.do(func() { n = len(h.kept) })
			return n
		}
		time.Sleep(5 * time.Second)
		if held() != 1 {
			t.Error("closed with connections in its queue")
		}
		h.do(func() { h.waiting = nil })
		h.until("closed", 5*time.Second, func() bool { return held() == 0 })
		if h.saved().Reserved[v1] != nil {
			t.Error("its port is still reserved")
		}
	})
}

// A daemon that comes back in the middle of a restart may not be told of the
// unit at first: between its end and its start it is nothing in particular.
func TestKeptAndNotYetTold(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{exec: true})
		h.serves("myapp", v1)
		h.kill()
		h.do(func() {
			u := h.units[v1]
			u.life++
			u.Active, u.Sub, u.Job, u.listeners = "inactive", "dead", "start", nil
			h.events = func(e Event) []Event {
				e.Units = nil
				return []Event{e}
			}
		})
		d := h.run()
		h.until("ready", time.Minute, d.ready.Load)
		time.Sleep(time.Second)
		h.do(func() {
			h.events = nil
			if h.kernel.families[0]["myapp"].Activation != "myapp-v1-1" {
				t.Error("the rule was withdrawn")
			}
			h.begin(h.units[v1])
		})
		h.until("served again", time.Minute, func() bool {
			var served bool
			h.do(func() { served = h.kernel.families[0]["myapp"].Activation == "myapp-v1-2" })
			return served
		})
		if h.logged("no other is running") > 0 {
			t.Error("the rule was withdrawn")
		}
	})
}

// Who waits in the queue of what has ended does not wait for ever.
func TestKeptQueueThatStaysFull(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{exec: true})
		h.serves("myapp", v1)
		h.do(func() { h.waiting = map[uint16]int{h.lastKept(): 3} })
		h.systemctl("stop", v1)
		h.until("closed", unreserveFor+5*time.Second, func() (closed bool) {
			h.do(func() { closed = len(h.kept) == 0 })
			return closed
		})
		if h.logged("closing a listener", "connections=3") != 1 {
			t.Error("nobody was told")
		}
	})
}

func (h *host) lastKept() uint16 {
	for _, port := range h.kept {
		return port
	}
	return 0
}

// If the State is lost, the units' files tell whose listeners are kept.
func TestKeptAndStateLost(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{exec: true})
		h.serves("myapp", v1)
		port := h.saved().Reserved[v1].Ports[""]
		h.kill()
		h.do(func() {
			h.state = nil
			h.kept["nobody's"] = 61100
		})
		d := h.run()
		h.until("ready", time.Minute, d.ready.Load)
		if got := d.ports(v1); got[""] != port {
			t.Errorf("it had %d, and has %v", port, got)
		}
		h.do(func() {
			if want := map[string]uint16{keyOf(v1, "", port): port}; !maps.Equal(h.kept, want) {
				t.Errorf("kept are %v, want %v", h.kept, want)
			}
		})
		h.systemctl("restart", v1)
		time.Sleep(5 * time.Second)
		if h.logged("no other is running") > 0 || h.serving("myapp") != v1 {
			t.Error("the rule was withdrawn")
		}
	})
}

// A unit that is restarted without exec, because its file was changed, is found
// by what it listens on; what was kept is closed when it has the traffic.
func TestKeptAndNotAskedFor(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{exec: true})
		h.serves("myapp", v1)
		h.put(v1, app{readyAfter: time.Second})
		h.systemctl("restart", v1)
		h.until("led to another port", time.Minute, func() bool {
			return h.serving("myapp") == v1 && h.service("myapp").Current.ports()[0] != 61000
		})
		h.until("closed", time.Minute, func() (closed bool) {
			h.do(func() { closed = len(h.kept) == 0 })
			return closed
		})
		if h.saved().Reserved[v1] != nil {
			t.Error("its port is still reserved")
		}
		if h.logged("not switched to") > 0 {
			t.Error("it was refused")
		}
		// And back.
		h.put(v1, app{exec: true, kind: "simple"})
		h.systemctl("restart", v1)
		h.until("led to its port", time.Minute, func() bool {
			r := h.saved().Reserved[v1]
			return h.serving("myapp") == v1 && r != nil && h.service("myapp").Current.ports()[0] == r.Ports[""]
		})
	})
}

// One that cannot come back is given up, although its listener is kept.
func TestKeptAndRefused(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{exec: true, file: "Listen=443\nProbeTimeoutSec=2"})
		h.serves("myapp", v1)
		h.do(func() { h.units[v1].sickAfter = time.Nanosecond })
		h.systemctl("restart", v1)
		h.serves("myapp", "")
		if h.logged("not switched to") == 0 {
			t.Error("nobody was told")
		}
	})
}
