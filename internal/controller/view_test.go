package controller

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// view returns how things stand.
func (d *daemon) seen() *View {
	d.t.Helper()
	v, err := d.View(d.ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

// roles renders each instance of myapp and what it is.
func (d *daemon) roles() string {
	svc := d.seen().Service("myapp")
	if svc == nil {
		return "none"
	}
	var s string
	for _, in := range svc.Instances {
		s += fmt.Sprintf("%s=%s ", (&in).Status.Name[6:8], roleNames[in.Role])
	}
	return s
}

var roleNames = map[Role]string{RoleNone: "none", RoleStarting: "starting", RoleCurrent: "current", RoleStandby: "standby",
	RoleDraining: "draining", RoleStopping: "stopping", RoleRejected: "rejected", RoleRefused: "refused"}

// shows waits until the roles of myapp's instances are want.
func (d *daemon) shows(want string) {
	d.t.Helper()
	d.until("roles are "+want, time.Minute, func() bool { return d.roles() == want })
}

func TestRolesInADeploy(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		file := "Listen=443\nStandbySec=5\nDrainSec=1min"
		a := app{file: file, readyAfter: time.Second, queued: time.Second, busy: 20 * time.Second, stopTakes: 2 * time.Second}
		h.start(v1, a)
		d.shows("v1=starting ")
		d.shows("v1=current ")
		h.start(v2, a)
		d.shows("v1=current v2=starting ")
		d.shows("v2=current v1=standby ")
		svc := d.seen().Service("myapp")
		if svc.Current != v2 || svc.Rollback != v1 || !svc.Warm {
			t.Errorf("current %s, a rollback goes to %s, warm %v", svc.Current, svc.Rollback, svc.Warm)
		}
		if in := svc.Instances[1]; len(in.Ports) != 1 || in.StandbyUntil-in.Since != 5*time.Second {
			t.Errorf("v1 has ports %v, standby of %s", in.Ports, in.StandbyUntil-in.Since)
		}
		d.shows("v2=current v1=draining ")
		d.shows("v2=current v1=stopping ")
		d.shows("v2=current ")
		if svc := d.seen().Service("myapp"); svc.Rollback != v1 || svc.Warm {
			t.Errorf("a rollback goes to %q, warm %v", svc.Rollback, svc.Warm)
		}
	})
}

func TestRolesOfThoseThatFail(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		d.shows("v1=current ")
		h.start(v2, app{deaf: true})
		d.shows("v1=current v2=refused ")
		if in := d.seen().Instance(v2); in.Reason == "" {
			t.Error("no reason")
		}
		h.start(v3, app{dieAfter: 3 * time.Second})
		d.shows("v3=current v2=refused v1=standby ")
		h.until("it is back", time.Minute, func() bool { return d.seen().Instance(v1).Role == RoleCurrent })
		if svc := d.seen().Service("myapp"); svc.Rollback != "" {
			t.Errorf("after a switch back, a rollback goes to %q", svc.Rollback)
		}
	})
}

// The same moment is looked at once, however many ask.
func TestViewIsShared(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.deployed(v1)
		a, b := d.seen(), d.seen()
		if a != b {
			t.Error("two views of one moment")
		}
		h.start(v2, app{})
		h.serves("myapp", v2)
		if c := d.seen(); c == a || c.Service("myapp").Current != v2 {
			t.Errorf("an old view: %s", cmp.Diff(a, c))
		}
		if a.Service("myapp").Current != v1 {
			t.Error("a view has changed")
		}
	})
}

// While rules are being changed the answer is how things were, or comes when
// who asks has still time for it.
func TestViewDoesNotOutwaitItsContext(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.deployed(v1)
		var stuck atomic.Bool
		release := make(chan struct{})
		h.hook(func(call string) error {
			if call == "Apply" && stuck.CompareAndSwap(false, true) {
				<-release
			}
			return nil
		})
		h.start(v2, app{})
		h.until("rules are being changed", time.Minute, stuck.Load)
		ctx, cancel := context.WithTimeout(h.ctx, time.Second)
		defer cancel()
		v, err := d.View(ctx)
		if err == nil && v.Service("myapp").Current != v1 {
			t.Errorf("current is %s", v.Service("myapp").Current)
		}
		if err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		close(release)
		h.serves("myapp", v2)
	})
}

// kinds returns the kinds of what has happened to a unit.
func (d *daemon) kinds(unit string) (kinds []Kind) {
	for _, n := range d.Feed.All() {
		if n.Unit == unit {
			kinds = append(kinds, n.Kind)
		}
	}
	return kinds
}

func TestNewsOfADeploy(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.systemctl("enable", v1)
		h.start(v1, app{busy: time.Second})
		h.serves("myapp", v1)
		h.start(v2, app{})
		h.deployed(v2, v1)
		want := []Kind{Probing, Switching, Switched, Quiesced, DrainBegan, Drained, StopBegan, Stopped}
		if diff := cmp.Diff(want, d.kinds(v1)); diff != "" {
			t.Errorf("v1 (-want +got):\n%s", diff)
		}
		want = []Kind{Probing, Switching, Switched, Enabled}
		if diff := cmp.Diff(want, d.kinds(v2)); diff != "" {
			t.Errorf("v2 (-want +got):\n%s", diff)
		}
		var last uint64
		for _, n := range d.Feed.All() {
			if n.ID <= last || n.Time.IsZero() || n.Message == "" || n.Service != "myapp" {
				t.Errorf("%+v", n)
			}
			if n.Invocation == "" && n.Kind != Enabled {
				t.Errorf("of no activation: %+v", n)
			}
			last = n.ID
		}
	})
}
