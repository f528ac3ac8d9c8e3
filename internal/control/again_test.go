package control

import (
	"context"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// One that is being seen out is started when that is over: a start before it has
// no effect, and the stop that is on its way would hit what it starts.
func TestDeployOfOneThatIsSeenOut(t *testing.T) {
	for name, role := range map[string]controller.Role{"stopping": controller.RoleStopping, "rejected": controller.RoleRejected, "draining": controller.RoleDraining} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t)
			v1 := in("v1", controller.RoleCurrent)
			b.shows(of(v1, in("v2", role)))
			b.order = func(_, unit string) (string, bool, error) { return unit, false, nil }
			started := make(chan struct{})
			b.fake.start = func(string) error { close(started); return nil }
			done := b.deploys("")
			b.read()
			select {
			case <-started:
				t.Fatal("it is started too early")
			case <-time.After(20 * time.Millisecond):
			}
			stopped := in("v2", controller.RoleNone)
			stopped.Status.Active = "inactive"
			b.shows(of(v1, stopped))
			<-started
			again := in("v2", controller.RoleCurrent)
			again.Status.Invocation, again.Activation = "another", "another"
			b.shows(of(again, in("v1", controller.RoleStandby)))
			if o := <-done; o.err != nil {
				t.Error(o.err)
			}
		})
	}
}

// Without waiting, it is said that it cannot be started yet.
func TestDeployWithoutWaitOfOneThatIsSeenOut(t *testing.T) {
	b := serve(t)
	b.shows(of(in("v1", controller.RoleCurrent), in("v2", controller.RoleRejected)))
	if o := <-b.deploys(api.ForNothing); code(o.err) != api.Conflict {
		t.Error(o.err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.started) != 0 {
		t.Errorf("started %q", b.started)
	}
}

// What is current by the last that was heard may have been stopped since: it is
// looked at anew, and started.
func TestDeployOfTheCurrentOneThatWasStopped(t *testing.T) {
	for name, then := range map[string]func() *controller.View{
		"and is seen to have ended": func() *controller.View { return of(in("v1", controller.RoleNone)) },
		"and the rules still lead to it": func() *controller.View {
			gone := in("v1", controller.RoleCurrent)
			gone.Status.Active, gone.Status.Sub = "inactive", "dead"
			return of(gone)
		},
		"and is on its way down": func() *controller.View {
			going := in("v1", controller.RoleCurrent)
			going.Status.Active, going.Status.Sub = "deactivating", "stop-sigterm"
			return of(going)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t)
			looked := make(chan string, 10)
			b.fake.expect = func(unit string) {
				looked <- unit
				if len(looked) == 1 {
					b.shows(then())
				}
			}
			started := make(chan struct{})
			b.fake.start = func(string) error { close(started); return nil }
			done := make(chan outcome, 1)
			go func() {
				out, err := b.client.Deploy(b.Context(), api.Deploy{Unit: "myapp@v1", Timeout: api.Duration(20 * time.Second)})
				done <- outcome{out, err}
			}()
			select {
			case <-started:
			case o := <-done:
				t.Fatalf("it was not started: %+v, %v", o.Outcome, o.err)
			}
			pending(t, done)
			again := in("v1", controller.RoleCurrent)
			again.Status.Invocation = "another" // and the rules still lead to the one before
			b.shows(of(again))
			b.read()
			pending(t, done)
			again.Activation = "another"
			b.shows(of(again))
			if o := <-done; o.err != nil || o.Already {
				t.Errorf("%+v, %v", o.Outcome, o.err)
			}
			if unit := <-looked; unit != "myapp@v1.service" {
				t.Errorf("looked at %s", unit)
			}
		})
	}
}

// A deploy whose time is over while the rules cannot be changed says so, and who
// stands in the way.
func TestLocked(t *testing.T) {
	b := serve(t)
	b.shows(of(in("v1", controller.RoleCurrent), in("v2", controller.RoleStarting)))
	b.mu.Lock()
	b.blocked = "process 4711 (ferm) holds the lock"
	b.mu.Unlock()
	soon := api.Duration(50 * time.Millisecond)
	_, err := b.client.Deploy(t.Context(), api.Deploy{Unit: "myapp@v2", Timeout: soon})
	if code(err) != api.Locked || err.Error() != "myapp@v2.service: the rules cannot be changed: process 4711 (ferm) holds the lock" {
		t.Errorf("%v", err)
	}
	// A drain of one that is not current has nothing to do with it.
	b.shows(of(in("v1", controller.RoleCurrent), in("v2", controller.RoleDraining)))
	if _, err = b.client.Wait(t.Context(), api.Wait{Unit: "myapp@v2", For: api.ForDrained, Timeout: soon}); code(err) != api.Locked && code(err) != api.Timeout {
		t.Error(err)
	}
	if _, err = b.client.Drain(t.Context(), api.Drain{Unit: "myapp@v2", Timeout: soon}); code(err) != api.Timeout {
		t.Error(err)
	}
	// Nor can it be told more while the loop itself waits.
	b.mu.Lock()
	b.fake.err = context.DeadlineExceeded
	b.mu.Unlock()
	if _, err = b.client.Services(t.Context(), api.Select{}); code(err) != api.Locked {
		t.Error(err)
	}
}
