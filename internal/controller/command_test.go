package controller

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// goBack asks for a rollback of myapp.
func (d *daemon) goBack(unit, wantTo string, wantWarm bool, wantErr error) {
	d.t.Helper()
	to, warm, err := d.Rollback(d.ctx, "myapp", unit)
	if to != wantTo || warm != wantWarm || !errors.Is(err, wantErr) {
		d.t.Errorf("rollback to %q: %q, warm %v, %v; want %q, %v, %v", unit, to, warm, err, wantTo, wantWarm, wantErr)
	}
}

func TestRollbackWhileWarm(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{file: "Listen=443\nStandbySec=1min"})
		h.serves("myapp", v1)
		d.goBack("", "", false, ErrNoRollback)
		h.start(v2, app{busy: time.Second})
		h.serves("myapp", v2)
		d.goBack(v2, "", false, ErrIsCurrent)
		d.goBack("", v1, true, nil)
		h.serves("myapp", v1)
		h.is(v2, "inactive")
		h.went("myapp-v1-1", "myapp-v2-1", "myapp-v1-1")
		h.stopped(v2)
		h.stays(time.Minute)
		d.goBack("", "", false, ErrNoRollback)
	})
}

// One of several, which is not the newest.
func TestRollbackToAnyOldOne(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		a := app{busy: time.Minute}
		for _, unit := range []string{v1, v2, v3} {
			h.start(unit, a)
			h.serves("myapp", unit)
		}
		d.goBack(v1, v1, true, nil)
		h.serves("myapp", v1)
		h.deployed(v1, v2, v3)
		h.went("myapp-v1-1", "myapp-v2-1", "myapp-v3-1", "myapp-v1-1")
	})
}

// What does not run any more has to be started, by who asks.
func TestRollbackToWhatHasStopped(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.serves("myapp", v1)
		h.start(v2, app{})
		h.deployed(v2, v1)
		d.goBack("", v1, false, nil)
		d.goBack(v3, v3, false, nil)
		h.stays(time.Minute)
		if _, _, err := d.Rollback(h.ctx, "other", ""); !errors.Is(err, ErrNoService) {
			t.Errorf("of a service that is none: %v", err)
		}
	})
}

// An order that cannot be carried out is not carried out much later.
func TestRollbackThatFails(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{file: "Listen=443\nStandbySec=10min"})
		h.serves("myapp", v1)
		h.start(v2, app{file: "Listen=443\nStandbySec=10min"})
		h.serves("myapp", v2)
		h.do(func() { h.units[v1].listeners = nil })
		d.goBack("", v1, true, nil)
		h.until("it is found deaf", time.Minute, func() bool { return h.logged("does not listen any more") == 1 })
		h.do(func() { h.units[v1].bind(h) })
		h.stays(2 * time.Minute)
		h.went("myapp-v1-1", "myapp-v2-1")
	})
}

func TestDrainOfTheCurrentOne(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{file: "Listen=443\nStandbySec=10min", busy: time.Second})
		h.serves("myapp", v1)
		if _, err := d.SeeOut(h.ctx, v1); !errors.Is(err, ErrOnlyOne) {
			t.Errorf("with nothing else: %v", err)
		}
		h.start(v2, app{file: "Listen=443\nStandbySec=10min", busy: 10 * time.Second})
		h.serves("myapp", v2)
		if due, err := d.SeeOut(h.ctx, v2); !due || err != nil {
			t.Errorf("%v, %v", due, err)
		}
		h.serves("myapp", v1)
		h.is(v2, "inactive")
		if due, err := d.SeeOut(h.ctx, v2); due || err != nil {
			t.Errorf("once more: %v, %v", due, err)
		}
		h.went("myapp-v1-1", "myapp-v2-1", "myapp-v1-1")
	})
}

// What could not be drained is not drained at once when it becomes an old one
// much later.
func TestDrainThatFails(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		file := "Listen=443\nStandbySec=10min"
		h.start(v1, app{file: file})
		h.serves("myapp", v1)
		h.start(v2, app{file: file})
		h.serves("myapp", v2)
		h.do(func() { h.units[v1].listeners = nil })
		if due, err := d.SeeOut(h.ctx, v2); !due || err != nil {
			t.Errorf("%v, %v", due, err)
		}
		h.until("v1 is found deaf", time.Minute, func() bool { return h.logged("does not listen any more") == 1 })
		time.Sleep(time.Minute)
		h.start(v3, app{file: file})
		h.serves("myapp", v3)
		time.Sleep(time.Minute)
		if h.active(v2) != "active" || d.seen().Instance(v2).Role != RoleStandby {
			t.Errorf("v2 is %s", h.active(v2))
		}
	})
}

// An old one that is to go now is not kept warm.
func TestDrainInStandby(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{file: "Listen=443\nStandbySec=10min"})
		h.serves("myapp", v1)
		h.start(v2, app{file: "Listen=443\nStandbySec=10min"})
		h.serves("myapp", v2)
		d.shows("v2=current v1=standby ")
		if due, err := d.SeeOut(h.ctx, v1); !due || err != nil {
			t.Errorf("%v, %v", due, err)
		}
		began := h.now()
		h.is(v1, "inactive")
		if took := h.now() - began; took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// An order outlives the daemon that took it.
func TestDrainInStandbyOverARestart(t *testing.T) {
	for name, of := range map[string]string{"an old one": v1, "the current one": v2} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *host) {
				d := h.run()
				a := app{file: "Listen=443\nStandbySec=10min", busy: 30 * time.Second}
				h.start(v1, a)
				h.serves("myapp", v1)
				h.start(v2, a)
				h.serves("myapp", v2)
				d.shows("v2=current v1=standby ")
				if due, err := d.SeeOut(h.ctx, of); !due || err != nil {
					t.Errorf("%v, %v", due, err)
				}
				if of == v1 {
					d.shows("v2=current v1=draining ")
				} else {
					h.serves("myapp", v1)
				}
				began := h.now()
				h.kill()
				h.run()
				h.is(of, "inactive")
				if took := h.now() - began; took > 2*time.Minute {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// One that was to go, and got the traffic back after all, is kept warm when it
// is old again.
func TestDrainIsOver(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		a := app{file: "Listen=443\nStandbySec=10min", busy: 30 * time.Second}
		h.start(v1, a)
		h.serves("myapp", v1)
		h.start(v2, a)
		h.serves("myapp", v2)
		if due, err := d.SeeOut(h.ctx, v1); !due || err != nil {
			t.Errorf("%v, %v", due, err)
		}
		d.shows("v2=current v1=draining ")
		d.goBack(v1, v1, true, nil)
		h.serves("myapp", v1)
		h.start(v3, a)
		h.serves("myapp", v3)
		time.Sleep(time.Minute)
		if role := d.seen().Instance(v1).Role; role != RoleStandby {
			t.Errorf("v1 is %s", roleNames[role])
		}
	})
}

// A unit's own ExecStop= that drains: while it does, the connections are seen
// out although the unit is on its way down.
func TestDrainFromExecStop(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{file: "Listen=443\nStandbySec=10min"})
		h.serves("myapp", v1)
		h.start(v2, app{file: "Listen=443\nStandbySec=10min", busy: 5 * time.Second, execStop: time.Minute})
		h.serves("myapp", v2)
		h.systemctl("stop", v2)
		if due, err := d.SeeOut(h.ctx, v2); !due || err != nil {
			t.Errorf("%v, %v", due, err)
		}
		h.serves("myapp", v1)
		h.until("drained", 20*time.Second, func() bool {
			in := d.seen().Instance(v2)
			return in != nil && in.Drained
		})
		if h.active(v2) != "deactivating" {
			t.Errorf("it is %s", h.active(v2))
		}
		h.is(v2, "inactive")
		h.stopped() // systemd was doing that already
	})
}

// A unit whose ExecStartPost= waits for the traffic gets it; one whose does
// something else does not, until that is over.
func TestExpectInStartPost(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{file: noStandby})
		h.serves("myapp", v1)
		h.start(v2, app{file: noStandby, post: time.Minute})
		h.until("it is in start-post", time.Minute, func() bool { return d.seen().Instance(v2).Status.Sub == "start-post" })
		if err := d.Expect(h.ctx, v2, false); err != nil { // somebody else waits
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		h.went("myapp-v1-1")
		if err := d.Expect(h.ctx, v2, true); err != nil {
			t.Error(err)
		}
		h.until("switched", time.Second, func() bool { return h.serving("myapp") == v2 })
		if h.active(v2) != "activating" {
			t.Errorf("it is %s", h.active(v2))
		}
		// A daemon that comes back knows.
		h.kill()
		h.run()
		h.is(v1, "inactive")
		h.is(v2, "active")
		h.stays(time.Minute)
		h.went("myapp-v1-1", "myapp-v2-1")
	})
}

// What happened in between is not undone by what was read before it.
func TestFreshReadIsNotStale(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.deployed(v1)
		began, release := make(chan struct{}), make(chan struct{})
		first := true
		h.hook(func(call string) error {
			if call == "Status "+v1 && first {
				first = false
				close(began)
				<-release
			}
			return nil
		})
		done := make(chan error)
		go func() { done <- d.Expect(h.ctx, v1, false) }()
		<-began
		h.crash(v1)
		h.until("it is gone", time.Minute, func() bool { return h.serving("myapp") == "" })
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
		h.stays(time.Minute)
		if diff := cmp.Diff("", h.serving("myapp")); diff != "" {
			t.Error(diff)
		}
	})
}
