package control

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// outcome is how a call ended.
type outcome struct {
	*api.Outcome
	err error
}

// deploys asks for v2 and returns where the outcome will be.
func (b *bench) deploys(wait api.Goal) <-chan outcome {
	c := make(chan outcome, 1)
	go func() {
		out, err := b.client.Deploy(b.Context(), api.Deploy{Unit: "myapp@v2", Wait: wait, Timeout: api.Duration(20 * time.Second)})
		c <- outcome{out, err}
	}()
	return c
}

// pending checks that nothing has come out yet.
func pending(t *testing.T, c <-chan outcome) {
	t.Helper()
	select {
	case o := <-c:
		t.Fatalf("ended too early: %+v, %v", o.Outcome, o.err)
	case <-time.After(20 * time.Millisecond):
	}
}

func TestDeployFollows(t *testing.T) {
	v1, v2 := in("v1", controller.RoleCurrent), in("v2", controller.RoleCurrent)
	starting, refused, rejected := in("v2", controller.RoleStarting), in("v2", controller.RoleRefused), in("v2", controller.RoleRejected)
	refused.Reason, rejected.Reason = "it does not listen", "it ended: exit-code"
	failed := in("v2", controller.RoleNone)
	overtaken := in("v2", controller.RoleStandby)
	for name, c := range map[string]struct {
		goal  api.Goal
		views []*controller.View
		want  api.Code // "": success
	}{
		"switched":                 {"", []*controller.View{of(v1, starting), of(v2, in("v1", controller.RoleStandby))}, ""},
		"not waited for":           {api.ForNothing, []*controller.View{of(v1, starting)}, ""},
		"refused":                  {"", []*controller.View{of(v1, starting), of(v1, refused)}, api.ProbeFailed},
		"failed":                   {"", []*controller.View{of(v1, starting), of(v1, failed)}, api.StartFailed},
		"never starts":             {"", []*controller.View{of(v1)}, api.StartFailed},
		"rolled back":              {"", []*controller.View{of(v1, starting), of(v1, rejected)}, api.RolledBack},
		"overtaken":                {"", []*controller.View{of(v1, starting), of(in("v3", controller.RoleCurrent), overtaken)}, api.Overtaken},
		"drained":                  {api.ForDrained, []*controller.View{of(v2, in("v1", controller.RoleStandby)), of(v2, in("v1", controller.RoleDraining)), of(v2, in("v1", controller.RoleStopping)), of(v2)}, ""},
		"rolled back in a standby": {api.ForDrained, []*controller.View{of(v2, in("v1", controller.RoleStandby)), of(v1, rejected)}, api.RolledBack},
		"unloaded in a standby":    {api.ForDrained, []*controller.View{of(v2, in("v1", controller.RoleStandby)), of(v1)}, api.RolledBack},
		"ended in a standby":       {api.ForDrained, []*controller.View{of(v2, in("v1", controller.RoleStandby)), of(v1, failed)}, api.RolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t)
			started := make(chan struct{})
			b.fake.start = func(string) error { close(started); return nil }
			done := b.deploys(c.goal)
			<-started
			for i, v := range c.views {
				if i > 0 {
					pending(t, done)
				}
				b.shows(v)
				b.read()
			}
			o := <-done
			if code(o.err) != c.want || c.want == "" && (o.err != nil || o.Unit != "myapp@v2.service" || o.Instance == nil) {
				t.Errorf("%+v, %v; want %q", o.Outcome, o.err, c.want)
			}
		})
	}
}

// News of an earlier end that come late are not taken for this start's.
func TestLateNewsOfAnEarlierEnd(t *testing.T) {
	b := serve(t)
	started := make(chan struct{})
	b.fake.start = func(string) error { close(started); return nil }
	done := b.deploys("")
	<-started
	v1 := in("v1", controller.RoleCurrent)
	b.shows(of(v1, in("v2", controller.RoleStarting)))
	b.shows(of(v1)) // unloaded
	pending(t, done)
	b.shows(of(v1, in("v2", controller.RoleStarting)))
	time.Sleep(sure + 100*time.Millisecond)
	pending(t, done)
	b.shows(of(in("v2", controller.RoleCurrent)))
	if o := <-done; o.err != nil {
		t.Error(o.err)
	}
}

// Why it lost the traffic once says nothing of its next start.
func TestDeployOfOneThatWasRejected(t *testing.T) {
	b := serve(t)
	v1, old := in("v1", controller.RoleCurrent), in("v2", controller.RoleNone)
	old.Reason = "it ended: exit-code"
	old.Status.Job = "start"
	b.shows(of(v1, old))
	started := make(chan struct{})
	b.fake.start = func(string) error { close(started); return nil }
	done := b.deploys("")
	<-started
	pending(t, done)
	again := in("v2", controller.RoleStarting)
	again.Status.Invocation = "another"
	b.shows(of(v1, again))
	pending(t, done)
	again.Role, again.Activation = controller.RoleCurrent, "another"
	b.shows(of(again))
	if o := <-done; o.err != nil {
		t.Error(o.err)
	}
}

func TestDeployOfWhatCannotBeStarted(t *testing.T) {
	b := serve(t)
	b.fake.start = func(string) error { return errors.New("unit is masked") }
	if o := <-b.deploys(""); code(o.err) != api.StartFailed {
		t.Error(o.err)
	}
	if _, err := b.client.Deploy(t.Context(), api.Deploy{Unit: "sshd"}); code(err) != api.NoInstance {
		t.Error(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.started) != 1 {
		t.Errorf("started %q", b.started)
	}
}

// One that runs and was current before is not started but given the traffic.
func TestDeployOfAWarmOne(t *testing.T) {
	b := serve(t)
	b.shows(of(in("v1", controller.RoleCurrent), in("v2", controller.RoleStandby)))
	b.order = func(service, unit string) (string, bool, error) {
		if service != "myapp" || unit != "myapp@v2.service" {
			t.Errorf("%s of %s", unit, service)
		}
		return unit, true, nil
	}
	done := b.deploys("")
	pending(t, done)
	b.shows(of(in("v2", controller.RoleCurrent), in("v1", controller.RoleRejected)))
	o := <-done
	if o.err != nil || !o.Warm || len(b.started) != 0 {
		t.Errorf("%+v, %v, started %q", o.Outcome, o.err, b.started)
	}
}

func TestTimeoutEndsTheWait(t *testing.T) {
	b := serve(t)
	b.shows(of(in("v1", controller.RoleCurrent), in("v2", controller.RoleStarting)))
	_, err := b.client.Wait(t.Context(), api.Wait{Unit: "myapp@v2", Timeout: api.Duration(50 * time.Millisecond)})
	if code(err) != api.Timeout {
		t.Error(err)
	}
	// The caller's going ends it, too.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err = b.client.Wait(ctx, api.Wait{Unit: "myapp@v2"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	b.idle()
}

// read waits until somebody has looked at what is shown.
func (b *bench) read() {
	b.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		b.mu.Lock()
		n := b.reads
		b.mu.Unlock()
		if n > 0 {
			return
		}
	}
	b.Fatal("nobody looks")
}

// idle waits until no call is under way.
func (b *bench) idle() {
	b.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		n := b.server.long.busy() + b.server.quick.busy()
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			b.Fatalf("%d calls do not end", n)
		}
		time.Sleep(time.Millisecond)
	}
}
