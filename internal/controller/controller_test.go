package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/config"
)

const (
	v1 = "myapp@v1.service"
	v2 = "myapp@v2.service"
	v3 = "myapp@v3.service"

	noStandby = "Listen=443\nStandbySec=0"
)

// deployed waits until unit is alone: it serves, and the others are stopped.
func (h *host) deployed(unit string, others ...string) {
	h.t.Helper()
	h.serves("myapp", unit)
	for _, other := range others {
		h.is(other, "inactive")
	}
	h.until("nothing is left to do", time.Minute, func() bool { return len(h.service("myapp").Old) == 0 })
}

// doneWith waits until all that is left of unit, which crashed, is the note that
// it may come back.
func (h *host) doneWith(unit string) {
	h.t.Helper()
	h.until("done with "+unit, time.Minute, func() bool {
		old := h.service("myapp").Old
		return len(old) == 1 && old[0].Unit == unit && old[0].Ended && old[0].Promoted
	})
}

// went checks the way of the traffic of myapp.
func (h *host) went(activations ...string) {
	h.t.Helper()
	if diff := cmp.Diff(activations, h.path()); diff != "" {
		h.t.Errorf("the traffic went another way (-want +got):\n%s", diff)
	}
}

// path returns the way of the traffic of myapp.
func (h *host) path() (path []string) {
	h.do(func() { path = slices.Clone(h.kernel.path["myapp"]) })
	return path
}

// stopped checks which units were stopped by the daemon.
func (h *host) stopped(units ...string) {
	h.t.Helper()
	var got []string
	h.do(func() { got = slices.Clone(h.stops) })
	if diff := cmp.Diff(units, got); diff != "" {
		h.t.Errorf("stopped others (-want +got):\n%s", diff)
	}
}

// boots checks which units are enabled.
func (h *host) boots(units ...string) {
	h.t.Helper()
	h.do(func() {
		var got []string
		for _, name := range slices.Sorted(maps.Keys(h.enabled)) {
			if h.enabled[name] {
				got = append(got, name)
			}
		}
		if diff := cmp.Diff(units, got); diff != "" {
			h.t.Errorf("enabled are others (-want +got):\n%s", diff)
		}
	})
}

// count returns how many calls daemons have made.
func (h *host) count() (n int) {
	h.do(func() { n = h.calls })
	return n
}

// hook has each call looked at.
func (h *host) hook(f func(call string) error) {
	h.do(func() { h.before = f })
}

// stays checks that nothing changes for a time.
func (h *host) stays(d time.Duration) {
	h.t.Helper()
	before := h.summary()
	time.Sleep(d)
	if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(h.summary(), "\n")); diff != "" {
		h.t.Errorf("did not stay as it was for %s:\n%s", d, diff)
	}
}

func TestThreeVersionsInARow(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.systemctl("enable", v1)
		h.start(v1, app{busy: time.Second})
		h.serves("myapp", v1)
		h.start(v2, app{busy: time.Second})
		h.deployed(v2, v1)
		h.start(v3, app{busy: time.Second})
		h.deployed(v3, v2)
		h.went("myapp-v1-1", "myapp-v2-1", "myapp-v3-1")
		h.stopped(v1, v2)
		h.boots(v3)
	})
}

// From READY=1 to the rules there is one look at the listeners and one probe. At
// systemd there is one look, under the lock, if what it has said is older than
// that should take; and a way back takes another after it.
func TestNoNeedlessCall(t *testing.T) {
	for name, c := range map[string]struct {
		slow string // this call takes too long
		want []string
	}{
		"at once":          {"", []string{"Listeners " + v2, "Claimed", "Probe", "Lock", "Touched", "Apply", "Save", "SaveCurrent"}},
		"slow to answer":   {"Probe", []string{"Listeners " + v2, "Claimed", "Probe", "Lock", "Status " + v2, "Touched", "Apply", "Save", "SaveCurrent"}},
		"the lock is held": {"Lock", []string{"Listeners " + v2, "Claimed", "Probe", "Lock", "Status " + v2, "Touched", "Apply", "Save", "SaveCurrent"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *host) {
				h.run()
				h.start(v1, app{})
				h.deployed(v1)
				calls := h.record(c.slow)
				h.start(v2, app{dieAfter: 3 * time.Second})
				h.serves("myapp", v2)
				first := func(n int) []string { return (*calls)[:min(n, len(*calls))] }
				h.do(func() {
					if diff := cmp.Diff(c.want, first(len(c.want))); diff != "" {
						t.Errorf("calls (-want +got):\n%s", diff)
					}
					*calls = nil
				})
				h.serves("myapp", v1)
				h.do(func() {
					*calls = (*calls)[max(0, slices.Index(*calls, "Lock")):]
					want := []string{"Lock", "Status " + v1, "Listeners ", "Touched", "Apply", "Save", "Status " + v1, "SaveCurrent"}
					if diff := cmp.Diff(want, first(len(want))); diff != "" {
						t.Errorf("calls of the way back (-want +got):\n%s", diff)
					}
				})
			})
		})
	}
}

// What was told meanwhile counts, however new what was seen before is.
func TestDiesBeforeTheSwitch(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.hook(func(call string) error {
			if call == "Lock" {
				h.crash(v2)
				for len(d.events) == 0 { // it comes to the daemon's ears
					time.Sleep(time.Millisecond)
				}
			}
			return nil
		})
		h.start(v2, app{})
		time.Sleep(time.Second)
		h.went("myapp-v1-1")
	})
}

// Only a switch between two that serve gives way, and only on a busy host.
func TestGivesWay(t *testing.T) {
	for name, c := range map[string]struct {
		busy, want bool
	}{"busy": {true, true}, "idle": {false, false}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *host) {
				d := h.run()
				d.Busy = func() bool { return c.busy }
				check := func(what string, want bool) {
					t.Helper()
					h.do(func() {
						if got := h.kernel.unhurried; got != want {
							t.Errorf("%s: unhurried is %v", what, got)
						}
					})
				}
				h.start(v1, app{})
				h.serves("myapp", v1)
				check("the first one", false)
				began := time.Now()
				h.start(v2, app{dieAfter: 3 * time.Second})
				h.serves("myapp", v2)
				if took := time.Since(began); (took >= lull) != c.want {
					t.Errorf("it took %s", took)
				}
				check("a deploy", c.want)
				h.serves("myapp", v1)
				check("the way back", false)
				h.systemctl("stop", v1)
				h.serves("myapp", "")
				check("withdrawn", false)
				h.start(v3, app{})
				h.serves("myapp", v3)
				check("one where none serves", false)
			})
		})
	}
}

// record returns the calls that are made from now on, for use in do. One of them
// may be slow.
func (h *host) record(slow string) *[]string {
	calls := new([]string)
	h.hook(func(call string) error {
		h.do(func() { *calls = append(*calls, call) })
		if call == slow {
			time.Sleep(2 * freshFor)
		}
		return nil
	})
	return calls
}

// What became ready while a commit was under way goes into the next one, all of
// it: a commit takes as long for fifty services as for one.
func TestManyAtOnce(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		const services = 50
		unit := func(i int) string { return fmt.Sprintf("s%d.service", i) }
		for i := range services {
			h.start(unit(i), app{file: fmt.Sprintf("Listen=%d", 1000+i), readyAfter: time.Duration(i) * 100 * time.Microsecond})
		}
		for i := range services {
			h.serves(fmt.Sprintf("s%d", i), unit(i))
		}
		var applies int
		h.do(func() { applies = h.kernel.applies })
		if applies > 10 { // each takes 2 ms, and they became ready within 5
			t.Errorf("%d services were ready at once, and that took %d commits", services, applies)
		}
	})
}

func TestIdle(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{})
		h.deployed(v2, v1)
		time.Sleep(time.Minute)
		before := h.count()
		time.Sleep(24 * time.Hour)
		if n := h.count() - before; n != 0 {
			t.Errorf("%d calls in an idle day", n)
		}
		if err := d.Ping(h.ctx); err != nil {
			t.Error(err)
		}
		h.kill()
		ctx, cancel := context.WithTimeout(h.ctx, time.Second)
		defer cancel()
		if err := d.Ping(ctx); err == nil {
			t.Error("a dead loop answers")
		}
	})
}

// A deploy while an older one drains: each is stopped when its own connections
// have ended.
func TestDeployWhileAnotherDrains(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{file: noStandby, busy: time.Minute})
		h.deployed(v1)
		h.start(v2, app{file: noStandby, busy: 10 * time.Second})
		h.serves("myapp", v2)
		time.Sleep(time.Second)
		h.start(v3, app{file: noStandby})
		h.serves("myapp", v3)
		h.is(v2, "inactive")
		if got := h.active(v1); got != "active" {
			t.Fatalf("v1 is %s", got)
		}
		h.deployed(v3, v1)
		h.stopped(v2, v1)
	})
}

func TestDrainDeadline(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{file: "Listen=443\nStandbySec=10\nDrainSec=1min", busy: time.Hour})
		h.deployed(v1)
		h.start(v2, app{})
		h.serves("myapp", v2)
		switched := h.now()
		h.is(v1, "inactive")
		if took := h.now() - switched; took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("stopped after %s", took)
		}
		if h.logged("drain deadline", v1, "connections=1") != 1 {
			t.Error("not told")
		}
	})
}

// The daemon that comes back goes on counting where the one before it began.
func TestDrainDeadlineOverACrash(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{file: "Listen=443\nStandbySec=0\nDrainSec=1min", busy: time.Hour})
		h.deployed(v1)
		h.start(v2, app{})
		h.serves("myapp", v2)
		switched := h.now()
		for range 5 {
			time.Sleep(8 * time.Second)
			h.kill()
			h.run()
		}
		h.is(v1, "inactive")
		if took := h.now() - switched; took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("stopped after %s", took)
		}
	})
}

func TestQuiesceDeadlineOverACrash(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{file: "Listen=443\nStandbySec=0\nDrainSec=0", queued: time.Hour})
		h.deployed(v1)
		h.start(v2, app{file: noStandby})
		h.serves("myapp", v2)
		switched := h.now()
		for range 3 {
			time.Sleep(8 * time.Second)
			h.kill()
			h.run()
		}
		h.is(v1, "inactive")
		if took := h.now() - switched; took < 30*time.Second || took > 31*time.Second {
			t.Errorf("stopped after %s", took)
		}
		if h.logged("queues did not empty", "unaccepted=1") != 1 {
			t.Error("not told")
		}
	})
}

// One that is back in between drains anew.
func TestDrainsAnew(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{file: "Listen=443\nStandbySec=0\nDrainSec=1min", busy: time.Hour})
		h.deployed(v1)
		h.start(v2, app{file: noStandby})
		h.serves("myapp", v2)
		time.Sleep(30 * time.Second)
		h.crash(v2)
		h.serves("myapp", v1)
		time.Sleep(10 * time.Second)
		h.start(v3, app{file: noStandby})
		h.serves("myapp", v3)
		switched := h.now()
		h.is(v1, "inactive")
		if took := h.now() - switched; took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("stopped after %s", took)
		}
	})
}

// The older one runs, but has closed its listener: the port is better refused
// than led to whoever takes that port next.
func TestOlderOneHasGoneDeaf(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{})
		h.serves("myapp", v2)
		time.Sleep(time.Second)
		h.do(func() { h.units[v1].listeners = nil })
		h.crash(v2)
		h.serves("myapp", "")
		h.stays(5 * time.Second)
		h.went("myapp-v1-1", "myapp-v2-1")
		if h.logged("not switched back to", v1) != 1 {
			t.Error("not told, or not once")
		}
	})
}

// Rules that another program has put back, from the time before.
func TestRulesOfARejectedOneAreFound(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		const file = "Listen=443\nStandbySec=1min"
		h.start(v1, app{file: file})
		h.deployed(v1)
		h.start(v2, app{file: file, sickAfter: 5 * time.Second, busy: time.Hour})
		h.serves("myapp", v2)
		var before [2]map[string]installed
		h.do(func() { before = h.kernel.families })
		h.serves("myapp", v1)
		h.kill()
		h.do(func() { h.kernel.families = before })
		h.run()
		h.serves("myapp", v1)
		h.went("myapp-v1-1", "myapp-v2-1", "myapp-v1-1")
	})
}

// What is known does not grow with the number of deploys.
func TestNothingGrows(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		for i := range 30 {
			h.start(fmt.Sprintf("myapp@bad%d.service", i), app{deaf: true})
			unit := fmt.Sprintf("myapp@%d.service", i)
			h.start(unit, app{stopTakes: time.Second, killed: i%2 == 0})
			h.serves("myapp", unit)
			time.Sleep(time.Minute)
			h.systemctl("stop", fmt.Sprintf("myapp@bad%d.service", i))
		}
		time.Sleep(time.Hour)
		h.kill()
		w, s := d.world, d.settings
		for what, n := range map[string]int{
			"units": len(w.Units), "settings": len(w.Settings), "members": len(w.Members), "released": len(w.Released),
			"services": len(w.State.Services), "old": len(w.State.Services["myapp"].Old), "refused": len(w.State.Services["myapp"].Refused),
			"prepared": len(w.Prepared), "unhealthy": len(w.Unhealthy), "deaf": len(w.Deaf), "stopped": len(w.Stopped), "last": len(w.LastCurrent),
			"files": len(s.files), "valid": len(s.valid), "none": len(s.none), "told": len(s.told), "clash": len(s.clash),
			"doubts": len(d.doubts), "refusals": len(d.Controller.told), "saved": len(d.Controller.current),
		} {
			if n > 1 {
				t.Errorf("%s: %d are known of", what, n)
			}
		}
	})
}

func TestRefusedKeepsTheOldOne(t *testing.T) {
	tests := map[string]struct {
		app app
		log []string
	}{
		"never ready":        {app{readyAfter: -5 * time.Second}, []string{"not ready", v2, "result=timeout", "current=" + v1}},
		"restarts for ever":  {app{readyAfter: -time.Second, restart: 100 * time.Millisecond}, []string{"not ready", v2}},
		"no listener":        {app{deaf: true}, []string{"not switched to", v2, "it has no listening TCP socket"}},
		"no listener, later": {app{deaf: true, kind: "simple", file: "Listen=443\nProbeTimeoutSec=3"}, []string{"not switched to", v2, "it has no listening TCP socket"}},
		"sick":               {app{sickAfter: 1, file: "Listen=443\nProbe=http:/healthz\nProbeTimeoutSec=2s"}, []string{"not switched to", v2, "it did not pass Probe=http:/healthz on [::]:", "within 2s: 503"}},
		"broken file":        {app{file: "Lisen=443"}, []string{"configuration error", v2, "Lisen"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *host) {
				h.run()
				h.start(v1, app{})
				h.deployed(v1)
				h.start(v2, tt.app)
				time.Sleep(time.Minute)
				if got := h.logged(tt.log...); got != 1 {
					t.Errorf("%q was logged %d times", tt.log, got)
				}
				h.went("myapp-v1-1")
				h.stopped()
				h.start(v3, app{})
				h.serves("myapp", v3)
				h.is(v1, "inactive")
			})
		})
	}
}

func TestDiesAfterTheSwitch(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.systemctl("enable", v1)
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{})
		h.serves("myapp", v2)
		time.Sleep(time.Second)
		h.crash(v2)
		time.Sleep(10 * time.Millisecond)
		if got := h.serving("myapp"); got != v1 {
			t.Errorf("10 ms after the crash it is %q that serves", got)
		}
		time.Sleep(time.Minute)
		h.went("myapp-v1-1", "myapp-v2-1", "myapp-v1-1")
		h.stopped()
		h.boots(v1)
		// It was this activation that is rejected, not the unit.
		h.start(v2, app{})
		h.deployed(v2, v1)
	})
}

func TestSickAfterTheSwitch(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		const file = "Listen=443\nStandbySec=30s"
		h.systemctl("enable", v1)
		h.start(v1, app{file: file})
		h.deployed(v1)
		h.start(v2, app{file: file, sickAfter: 5 * time.Second, busy: 10 * time.Second})
		h.serves("myapp", v2)
		switched := h.now()
		h.serves("myapp", v1)
		if took := h.now() - switched; took < 7*time.Second || took > 9*time.Second {
			t.Errorf("back after %s, want three probes, a second apart", took)
		}
		if h.logged("switched back", "it failed its probe 3 times in a row: 503") != 1 {
			t.Error("not told")
		}
		h.deployed(v1, v2)
		h.stopped(v2)
		h.boots(v1)
	})
}

// One that fails a probe now and then is not sick, and nor is one whose older
// one is not there to go back to.
func TestNotSick(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.deployed(v1)
		var probes atomic.Int32
		h.hook(func(call string) error {
			if call == "Probe" {
				if n := probes.Add(1); n > 1 && n%3 != 0 {
					return errAway
				}
			}
			return nil
		})
		h.start(v2, app{})
		h.deployed(v2, v1)
		h.went("myapp-v1-1", "myapp-v2-1")
		if n := probes.Load(); n < 9 {
			t.Errorf("only %d probes", n)
		}
	})
}

// Until the old one is told to stop, enablement is its own.
func TestEnablementWaitsForStandby(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.systemctl("enable", v1)
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{})
		h.serves("myapp", v2)
		time.Sleep(9 * time.Second)
		h.boots(v1)
		time.Sleep(2 * time.Second)
		h.boots(v2)
	})
}

// The new one dies when the old one is disabled and it is not yet enabled.
func TestDiesWhileEnablementMoves(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.systemctl("enable", v1)
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{})
		h.serves("myapp", v2)
		h.hook(func(call string) error {
			if call != "Enable "+v2 {
				return nil
			}
			h.crash(v2)
			time.Sleep(time.Second)
			return errAway
		})
		h.doneWith(v2)
		h.went("myapp-v1-1", "myapp-v2-1", "myapp-v1-1")
		h.boots(v1)
	})
}

// Somebody stops the old one and starts the new one: a reboot comes back with
// what is live all the same.
func TestEnablementFollowsWithoutASwitch(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.systemctl("enable", v1)
		h.start(v1, app{})
		h.deployed(v1)
		h.systemctl("stop", v1)
		h.serves("myapp", "")
		time.Sleep(time.Hour)
		h.boots(v1)
		h.start(v2, app{})
		h.deployed(v2)
		h.boots(v2)
	})
}

func TestStoppedRightAfterTheSwitch(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{stopTakes: 10 * time.Second})
		h.serves("myapp", v2)
		h.systemctl("stop", v2)
		time.Sleep(10 * time.Millisecond)
		if got := h.serving("myapp"); got != v1 {
			t.Errorf("10 ms after the stop job it is %q that serves", got)
		}
		time.Sleep(time.Minute)
		h.went("myapp-v1-1", "myapp-v2-1", "myapp-v1-1")
		h.stopped()
	})
}

func TestRestartOfTheCurrent(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{stopTakes: time.Second, readyAfter: time.Second})
		h.deployed(v1)
		h.systemctl("restart", v1)
		time.Sleep(500 * time.Millisecond)
		if got := h.serving("myapp"); got != "" {
			t.Errorf("while it stops, the rules point at %q", got)
		}
		time.Sleep(time.Minute)
		h.went("myapp-v1-1", "myapp-v1-2")
		h.stopped()
	})
}

// With an older one that is warm, nothing is refused even then.
func TestRestartOfTheCurrentInStandby(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{stopTakes: time.Second, readyAfter: time.Second})
		h.serves("myapp", v2)
		h.systemctl("restart", v2)
		h.deployed(v2, v1)
		h.went("myapp-v1-1", "myapp-v2-1", "myapp-v1-1", "myapp-v2-2")
	})
}

func TestCrashLoop(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.watchRules(time.Second)
		h.start(v1, app{dieAfter: 3 * time.Second, restart: 100 * time.Millisecond})
		time.Sleep(time.Minute)
		if path := h.path(); len(path) < 15 {
			t.Errorf("it served %d times only", len(path))
		}
		h.start(v2, app{})
		h.serves("myapp", v2)
		time.Sleep(time.Minute)
		if got := h.serving("myapp"); got != v2 {
			t.Errorf("%q serves", got)
		}
		if got := h.active(v1); got != "inactive" {
			t.Errorf("v1 is %s", got)
		}
	})
}

func TestDrainingOneIsRestartedBySystemd(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{file: noStandby, busy: time.Hour, restart: 100 * time.Millisecond})
		h.deployed(v1)
		h.start(v2, app{file: noStandby})
		h.serves("myapp", v2)
		time.Sleep(time.Second)
		h.crash(v1)
		h.deployed(v2, v1)
		h.went("myapp-v1-1", "myapp-v2-1")
		if h.logged("not watched") > 0 {
			t.Error("a task that was given up has told of it")
		}
	})
}

// What was refused while another served is looked at again when it does not.
func TestRefusedIsBetterThanNothing(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{deaf: true})
		time.Sleep(time.Minute)
		h.crash(v1)
		h.serves("myapp", "")
		time.Sleep(time.Hour)
		if got := h.logged("not switched to", v2); got != 2 {
			t.Errorf("told %d times", got)
		}
		h.do(func() {
			h.units[v2].deaf = false
			h.units[v2].bind(h)
		})
		h.until("v2 serves", time.Minute, func() bool { return h.serving("myapp") == v2 })
	})
}

func TestSimpleWaitsUntilListenersSettle(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{kind: "exec", bindAfter: 2 * time.Second})
		began := h.now()
		h.serves("myapp", v1)
		if took := h.now() - began; took < 2500*time.Millisecond || took > 2800*time.Millisecond {
			t.Errorf("switched after %s", took)
		}
	})
}

// A server that is slow to become healthy is waited for as long as it may take.
func TestProbeTimeout(t *testing.T) {
	for _, hangs := range []time.Duration{0, 3 * time.Second} {
		t.Run(fmt.Sprint("an attempt takes ", hangs), func(t *testing.T) {
			bubble(t, func(h *host) {
				h.run()
				var healthy atomic.Bool
				h.hook(func(call string) error {
					if call != "Probe" {
						return nil
					}
					time.Sleep(hangs)
					if !healthy.Load() {
						return errors.New("503 Service Unavailable")
					}
					return nil
				})
				h.start(v1, app{file: "Listen=443\nProbe=http:/\nProbeTimeoutSec=10min"})
				time.Sleep(9 * time.Minute)
				healthy.Store(true)
				h.until("it serves", 10*time.Second, func() bool { return h.serving("myapp") == v1 })
			})
		})
	}
}

func TestBootWithTwoEnabled(t *testing.T) {
	bubble(t, func(h *host) {
		h.booted = 0
		h.current = []byte(`{"myapp":"` + v1 + `"}`)
		h.systemctl("enable", v1, v2)
		h.start(v1, app{readyAfter: 20 * time.Second}) // slower, but it was current
		h.start(v2, app{})
		h.run()
		time.Sleep(10 * time.Second)
		h.went()
		h.serves("myapp", v1)
		h.deployed(v1, v2)
		h.went("myapp-v1-1")
		h.boots(v1)
		h.do(func() { h.booted = h.now() })
		h.start(v2, app{})
		h.deployed(v2, v1)
	})
}

func TestBootWithTheOtherLater(t *testing.T) {
	bubble(t, func(h *host) {
		h.booted = 0
		h.current = []byte(`{"myapp":"` + v1 + `"}`)
		h.systemctl("enable", v1, v2)
		h.start(v1, app{})
		h.start(v2, app{readyAfter: 20 * time.Second})
		h.run()
		h.serves("myapp", v1)
		h.is(v2, "active")
		time.Sleep(time.Second)
		h.do(func() {
			if !slices.Equal(h.kernel.guarded, []uint16{10001, 10002}) {
				t.Errorf("guarded: %v", h.kernel.guarded)
			}
		})
		h.deployed(v1, v2)
		h.went("myapp-v1-1")
	})
}

func TestDeployDuringBoot(t *testing.T) {
	bubble(t, func(h *host) {
		h.booted = 0
		h.current = []byte(`{"myapp":"` + v1 + `"}`)
		h.systemctl("enable", v1)
		h.start(v1, app{})
		h.run()
		h.serves("myapp", v1)
		h.start(v2, app{}) // by an operator: it is not enabled
		h.deployed(v2, v1)
		h.boots(v2)
	})
}

func TestBootWithOneThatFails(t *testing.T) {
	bubble(t, func(h *host) {
		h.booted = 0
		h.current = []byte(`{"myapp":"` + v1 + `"}`)
		h.start(v1, app{readyAfter: -10 * time.Second, restart: time.Second}) // for ever
		h.start(v2, app{})
		h.run()
		time.Sleep(5 * time.Second)
		h.went()
		time.Sleep(6 * time.Second)
		h.went("myapp-v2-1")
	})
}

func TestListenIsEdited(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.edit(v1, "[X-Switcheroo]\nListen=80\n")
		time.Sleep(time.Second)
		h.do(func() {
			if got := h.kernel.families[1]["myapp"].Targets[0].Endpoint.Port; got != 80 {
				t.Errorf("public port %d", got)
			}
		})
		h.edit(v1, "[X-Switcheroo]\nLisen=8080\n")
		h.stays(time.Minute)
		h.edit(v1, "[X-Switcheroo]\nListen=80\nDrainSec=1h\n")
		time.Sleep(time.Second)
		if got := h.service("myapp").Current.Instance.Drain; got != time.Hour {
			t.Errorf("DrainSec=%s", got)
		}
		h.went("myapp-v1-1")
		h.stopped()
	})
}

// A file that is broken when the daemon starts: what was valid before holds,
// also for the next start of the unit.
func TestBrokenFileOverARestart(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.edit(v1, "[X-Switcheroo]\nLisen=443\n")
		h.kill()
		h.run()
		h.systemctl("restart", v1)
		time.Sleep(10 * time.Second)
		h.went("myapp-v1-1", "myapp-v1-2")
		if got := h.serving("myapp"); got != v1 {
			t.Errorf("%q serves", got)
		}
	})
}

func TestSectionIsRemoved(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{})
		h.serves("myapp", v2)
		time.Sleep(time.Second)
		h.edit(v2, "[Service]\n")
		time.Sleep(time.Second)
		if got := h.serving("myapp"); got != "" {
			t.Errorf("the rules point at %q", got)
		}
		time.Sleep(time.Minute)
		h.stopped(v1) // as had been begun
		h.went("myapp-v1-1", "myapp-v2-1")
		// And it can come back.
		h.edit(v2, "[X-Switcheroo]\nListen=443\n")
		h.deployed(v2)
	})
}

// An old one whose section is gone is seen out all the same, and its end is
// noticed, which no event tells.
func TestSectionOfAnOldOneIsRemoved(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{busy: 5 * time.Second})
		h.deployed(v1)
		h.start(v2, app{})
		h.serves("myapp", v2)
		time.Sleep(time.Second)
		h.do(func() { h.units[v1].section = true })
		h.edit(v1, "[Service]\n")
		h.deployed(v2, v1)
		h.stopped(v1)
		before := h.count()
		time.Sleep(time.Hour)
		if n := h.count() - before; n != 0 {
			t.Errorf("%d calls since", n)
		}
	})
}

func TestServiceIsRenamed(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{busy: time.Minute})
		h.deployed(v1)
		h.start(v2, app{})
		h.serves("myapp", v2)
		h.do(func() {
			for _, u := range []string{v1, v2} {
				h.units[u].Files = []config.File{{Path: u, Data: []byte("[X-Switcheroo]\nListen=443\nService=shop\n")}}
			}
		})
		h.reload()
		h.serves("shop", v2)
		h.serves("myapp", "")
		h.is(v1, "inactive")
		h.until("done", time.Minute, func() bool { return len(h.service("shop").Old) == 0 })
		h.stopped(v1)
		if services := h.saved().Services; len(services) != 1 {
			t.Errorf("services: %v", services)
		}
	})
}

func TestTwoServicesClaimOnePort(t *testing.T) {
	const other = "other@v1.service"
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.start(other, app{})
		time.Sleep(time.Minute)
		h.start(v2, app{})
		h.deployed(v2, v1)
		if h.serving("other") != "" || h.active(other) != "active" {
			t.Error("the second got it, or was stopped")
		}
		if h.logged("configuration error", other, `service \"myapp\"`) != 1 {
			t.Error("not told, or not once")
		}
		// The first gives it up.
		h.edit(v2, "[X-Switcheroo]\nListen=80\n")
		h.serves("other", other)
		h.serves("myapp", v2)
		if h.logged("configuration error mended", other) != 1 {
			t.Error("not told that it is mended")
		}
	})
}

// A file that asks for another service's port loses nothing of what it has.
func TestPortOfAnotherServiceIsAskedFor(t *testing.T) {
	const other = "other@v1.service"
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.start(other, app{file: "Listen=80"})
		h.serves("myapp", v1)
		h.serves("other", other)
		time.Sleep(time.Second)
		h.edit(v1, "[X-Switcheroo]\nListen=80\n") // its name is the first of the alphabet
		h.stays(time.Minute)
		if h.serving("myapp") != v1 || h.serving("other") != other {
			t.Error("moved")
		}
	})
}

func TestOperatorRestartsTheOldOneWhileItIsToBeStopped(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{file: noStandby})
		h.deployed(v1)
		h.hook(func(call string) error {
			if strings.HasPrefix(call, "Stop ") {
				return errAway
			}
			return nil
		})
		h.start(v2, app{file: noStandby})
		h.serves("myapp", v2)
		h.until("v1 is to be stopped", time.Minute, func() bool {
			s := h.service("myapp")
			return len(s.Old) == 1 && s.Old[0].Stopping
		})
		time.Sleep(10 * time.Second)
		h.systemctl("restart", v1)
		time.Sleep(time.Second)
		h.hook(nil)
		h.deployed(v1, v2)
		h.went("myapp-v1-1", "myapp-v2-1", "myapp-v1-2")
		h.stopped(v2)
	})
}
