package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// socketUnit puts switcherood.socket on a host.
func socketUnit(t testing.TB) map[string]string {
	return map[string]string{"/etc/systemd/system/switcherood.socket": packaged(t, "packaging/systemd/switcherood.socket")}
}

// api returns a client of the daemon's. The test process is root, of another
// PID namespace than the host.
func (s *stage) api() *api.Client {
	s.Helper()
	c := api.NewClient(fmt.Sprintf("/proc/%d/root%s", s.host.PID(), api.Socket))
	s.Cleanup(c.Close)
	return c
}

// curl asks from inside the host, and returns the answer and its status.
func (s *stage) curl(args ...string) (body, status string) {
	s.Helper()
	all := append([]string{"curl", "--silent", "--show-error", "--max-time", "30", "--unix-socket", api.Socket, "--write-out", "\n%{http_code}"}, args...)
	out, err := s.host.Run(s.Context(), all...)
	if err != nil {
		s.Fatalf("curl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	out = strings.TrimRight(out, "\n")
	i := strings.LastIndexByte(out, '\n')
	return out[:max(i, 0)], out[i+1:]
}

// stateOf returns what an instance is to its service.
func (s *stage) stateOf(unit string) api.State {
	s.Helper()
	all, err := s.api().Instances(s.Context(), api.Select{})
	if err != nil {
		s.Fatal(err)
	}
	for _, in := range all {
		if in.Unit == unit {
			return in.State
		}
	}
	return api.Inactive
}

// A deploy, a rollback, and another deploy over the socket, with and without
// switcherood.socket.
func TestControlDeploysAndRollsBack(t *testing.T) {
	for name, files := range map[string]map[string]string{"activated": socketUnit(t), "alone": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set(t, files, keys("StandbySec=30", "DrainSec=20"), args("bad", "-mode=neverready"))
			c := s.api()
			out, err := c.Deploy(t.Context(), api.Deploy{Unit: "myapp@v1"})
			if err != nil || out.Instance == nil || out.Instance.State != api.Current || out.Already {
				t.Fatalf("%+v, %v", out, err)
			}
			s.served("v1")
			held := s.hold(server4 + ":8080")
			if out, err = c.Deploy(t.Context(), api.Deploy{Unit: "myapp@v2.service", Timeout: api.Duration(20 * time.Second)}); err != nil || out.Instance.State != api.Current {
				t.Fatalf("%+v, %v", out, err)
			}
			s.served("v2")
			svc, err := c.Service(t.Context(), "myapp", api.Select{Connections: true})
			if err != nil {
				t.Fatal(err)
			}
			old := svc.Instance("myapp@v1.service")
			if svc.Current != "myapp@v2.service" || svc.Rollback != old.Unit || !svc.Warm || old.State != api.Standby || *old.Connections != 1 || len(svc.Listen) != 1 {
				t.Errorf("%+v", svc)
			}
			conns, err := c.Connections(t.Context(), "myapp@v1")
			if err != nil || len(conns) != 1 || conns[0].Peer.Addr().String() != client4 || conns[0].State != "ESTABLISHED" || conns[0].AgeAtLeast == nil || !conns[0].Accepted {
				t.Errorf("%+v, %v", conns, err)
			}
			out, err = c.Rollback(t.Context(), api.Rollback{Service: "myapp"})
			if err != nil || !out.Warm || out.Unit != "myapp@v1.service" {
				t.Errorf("%+v, %v", out, err)
			}
			s.served("v1")
			held.says("v1")
			held.close()
			s.is("myapp@v2", "inactive")
			if out, err = c.Deploy(t.Context(), api.Deploy{Unit: "myapp@v1"}); err != nil || !out.Already {
				t.Errorf("%+v, %v", out, err)
			}
			var e *api.Error
			_, err = c.Deploy(t.Context(), api.Deploy{Unit: "dbus"})
			if !asError(err, &e) || e.Code != api.NoInstance {
				t.Errorf("a unit that is none of ours: %v", err)
			}
			if _, err = c.Deploy(t.Context(), api.Deploy{Unit: "nosuch@v1"}); !asError(err, &e) || e.Code != api.NoInstance {
				t.Errorf("a unit that does not exist: %v", err)
			}
			// A rollback to what has stopped starts it.
			if out, err = c.Deploy(t.Context(), api.Deploy{Unit: "myapp@v3", Wait: api.ForDrained, Timeout: api.Duration(time.Minute)}); err == nil {
				t.Logf("deploy, drained: took %s", out.Took)
			} else {
				t.Error(err)
			}
			s.is("myapp@v1", "inactive")
			if out, err = c.Rollback(t.Context(), api.Rollback{Service: "myapp"}); err != nil || out.Warm || out.Unit != "myapp@v1.service" {
				t.Errorf("%+v, %v", out, err)
			}
			s.served("v1")
			switches, err := c.Switches(t.Context(), "myapp")
			var got []string
			for _, sw := range switches {
				got = append(got, string(sw.Kind)+" "+strings.TrimSuffix(strings.TrimPrefix(sw.Unit, "myapp@"), ".service"))
			}
			if want := "[switched v1 switched v2 switched-back v1 switched v3 switched v1]"; fmt.Sprint(got) != want || err != nil {
				t.Errorf("switches %v, %v; want %s", got, err, want)
			}
		})
	}
}

func asError(err error, e **api.Error) bool {
	*e, _ = err.(*api.Error)
	return *e != nil
}

// Each way in which a deploy can fail has its code, and the old one serves.
func TestControlDeployFails(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=3", "ProbeTimeoutSec=2"),
		instance("exits", "[Service]\nExecStart=\nExecStart=/bin/false\n"),
		instance("quits", "[Service]\nExecStart=\nExecStart=/bin/true\n"),
		instance("lacks", "[Unit]\nRequires=no-such-thing.service\nAfter=no-such-thing.service\n"),
		instance("skips", "[Unit]\nConditionPathExists=/no/such/thing\n"),
		instance("deaf", "[Service]\nType=simple\nExecStart=\nExecStart=/bin/sleep 1000\n"),
		instance("dies", "[Service]\nExecStart=\nExecStart=/bin/sh -c '/opt/myapp/server -version dies & sleep 2; kill $!'\nNotifyAccess=all\n"),
	)
	s.deploy("v1")
	c := s.api()
	for version, want := range map[string]api.Code{
		"exits": api.StartFailed, "quits": api.StartFailed, "lacks": api.StartFailed, "skips": api.StartFailed, "deaf": api.ProbeFailed,
	} {
		_, err := c.Deploy(t.Context(), api.Deploy{Unit: "myapp@" + version, Timeout: api.Duration(30 * time.Second)})
		var e *api.Error
		if !asError(err, &e) || e.Code != want {
			t.Errorf("%s: %v, want %s", version, err, want)
			continue
		}
		t.Logf("%s: %s: %s (%s)", version, e.Code, e.Message, e.HintText)
	}
	_, err := c.Deploy(t.Context(), api.Deploy{Unit: "myapp@dies", Wait: api.ForDrained, Timeout: api.Duration(30 * time.Second)})
	var e *api.Error
	if !asError(err, &e) || e.Code != api.RolledBack {
		t.Errorf("dies: %v, want %s", err, api.RolledBack)
	} else {
		t.Logf("dies: %s: %s", e.Code, e.Message)
	}
	s.served("v1")
	if _, err := c.Deploy(t.Context(), api.Deploy{Unit: "myapp@v1", Wait: "someday"}); !asError(err, &e) || e.Code != api.BadRequest {
		t.Errorf("a goal that is none: %v", err)
	}
}

// Events come as they happen, and those since any that is still known.
func TestControlEvents(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=0"))
	c := s.api()
	h, err := c.Health(t.Context())
	if err != nil || h.Status != "ok" {
		t.Fatalf("%+v, %v", h, err)
	}
	stream, err := c.Events(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	s.deploy("v1")
	s.deploy("v2")
	s.is("myapp@v1", "inactive")
	read := func(stream *api.Stream, until api.EventKind) (kinds []string, last uint64) {
		t.Helper()
		for {
			e, err := stream.Next()
			if err != nil {
				t.Fatal(err)
			}
			if e.ID <= last {
				t.Errorf("event %d after %d", e.ID, last)
			}
			last = e.ID
			if e.Unit == "myapp@v1.service" {
				kinds = append(kinds, string(e.Kind))
			}
			if e.Kind == until {
				return kinds, last
			}
		}
	}
	want := "[probing switching switched quiesced draining drained stopping stopped]"
	live, last := read(stream, api.Stopped)
	if fmt.Sprint(live) != want {
		t.Errorf("live: %v, want %s", live, want)
	}
	again, err := c.Events(t.Context(), h.Event)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if late, lastAgain := read(again, api.Stopped); fmt.Sprint(late) != want || lastAgain != last {
		t.Errorf("afterwards: %v, want %s", late, want)
	}
	// Across a restart ids rise, and what is gone is said to be.
	s.systemctl("restart", "switcherood")
	after, err := c.Events(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	e, err := after.Next()
	if err != nil || e.Kind != api.Missed || e.ID <= last {
		t.Errorf("%+v, %v", e, err)
	}
}

// With switcherood.socket, who calls while the daemon is restarted is answered
// a little later, not turned away. The socket survives.
func TestControlQueuesAcrossRestarts(t *testing.T) {
	t.Parallel()
	s := set(t, socketUnit(t))
	s.deploy("v1")
	c := s.api()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	calls := 0
	go func() {
		for ctx.Err() == nil {
			// A call that is under way when the daemon stops may be cut off;
			// one that begins is not.
			h := api.NewClient(fmt.Sprintf("/proc/%d/root%s", s.host.PID(), api.Socket))
			_, err := h.Health(ctx)
			h.Close()
			var e *api.Error
			if err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "reset") &&
				(!asError(err, &e) || e.Code != api.Unavailable) {
				done <- err
				return
			}
			calls++
		}
		done <- nil
	}()
	for range 3 {
		s.systemctl("restart", "switcherood")
		if err := s.host.Kill9(t.Context(), "switcherood.service"); err != nil {
			t.Fatal(err)
		}
		s.is("switcherood", "active")
		if _, err := c.Health(t.Context()); err != nil {
			t.Error(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	t.Logf("%d calls over 6 restarts", calls)
	s.systemctl("stop", "switcherood")
	if got := s.property("switcherood.socket", "ActiveState"); got != "active" {
		t.Errorf("the socket is %s", got)
	}
	if _, err := c.Health(t.Context()); err != nil { // starts the daemon
		t.Error(err)
	}
}

// ExecStartPost=wait and ExecStop=drain, here by curl: see the command line for
// the same with less to type.
func TestControlWaitAndDrainFromTheUnit(t *testing.T) {
	t.Parallel()
	ask := func(route string) string {
		return `/usr/bin/curl -fsS -m 60 --unix-socket ` + api.Socket + ` -d '{"unit":"%n"}' http://s/v1/` + route
	}
	s := set(t, keys("StandbySec=1min", "DrainSec=30", "ProbeTimeoutSec=3"),
		map[string]string{"/etc/systemd/system/myapp@.service.d/ask.conf": "[Service]\nTimeoutStartSec=60\nExecStartPost=" + ask("wait") + "\nExecStop=-" + ask("drain") +
			"\nNoNewPrivileges=yes\nProtectSystem=strict\nPrivateUsers=yes\nProtectProc=invisible\nCapabilityBoundingSet=\nSystemCallFilter=@system-service\n"},
		args("deaf", "-notify=true -listen=127.0.0.1:0"))
	s.start("myapp@v1")
	// The switch is done when systemctl returns.
	if got := s.fromClient(server4 + ":8080"); got != "v1" {
		t.Errorf("served by %q", got)
	}
	// One that covers less is refused, and then so is its start.
	if _, err := s.host.Systemctl(t.Context(), "start", "myapp@deaf"); err == nil {
		t.Error("the start of what is refused succeeds")
	}
	s.is("myapp@deaf", "failed")
	s.served("v1")
	s.start("myapp@v2")
	if got := s.fromClient(server4 + ":8080"); got != "v2" {
		t.Errorf("served by %q", got)
	}
	// Stopped by hand it drains first: the traffic goes back, and what is
	// open ends by itself.
	s.stopDrains("v2", "v1")
	s.log("drained", "myapp@v2.service")
	s.served("v1")
}

// A new daemon takes over the calls that wait.
func TestControlWaitOutlastsARestart(t *testing.T) {
	t.Parallel()
	s := set(t, socketUnit(t), keys("StandbySec=0", "DrainSec=1min"))
	s.deploy("v1")
	held := s.hold(server4 + ":8080")
	s.deploy("v2")
	done := make(chan error, 1)
	c := s.api()
	go func() {
		_, err := c.Drain(t.Context(), api.Drain{Unit: "myapp@v1", Timeout: api.Duration(time.Minute)})
		done <- err
	}()
	s.log("quiesced", "myapp@v1.service")
	time.Sleep(time.Second) // or insist takes it for one that was never there
	s.systemctl("restart", "switcherood")
	held.says("v1")
	held.close()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the wait does not end")
	}
}

func TestControlCheck(t *testing.T) {
	t.Parallel()
	s := set(t, map[string]string{"/etc/systemd/system/other@.service": strings.Replace(template, "Listen=8080", "Lisen=8080", 1)})
	c := s.api()
	found, err := c.Check(t.Context(), api.Check{})
	if err != nil || len(found.Findings) != 2 || !strings.Contains(found.Findings[1].Message, `other@.service:14`) || !strings.Contains(fmt.Sprint(found.Units), "myapp@.service") {
		t.Errorf("%+v, %v", found, err)
	}
	found, err = c.Check(t.Context(), api.Check{Files: []api.File{{Name: "new@.service", Text: "[X-Switcheroo]\nListen=8080\nDrainSec=soon\n"}}})
	if err != nil || len(found.Findings) != 1 || !strings.Contains(found.Findings[0].Message, "new@.service:3") {
		t.Errorf("%+v, %v", found, err)
	}
	found, err = c.Check(t.Context(), api.Check{Files: []api.File{{Name: "new@.service", Text: template}, {Name: "new@.service.d/a.conf", Text: "[X-Switcheroo]\nDrainSec=1h\n"}}})
	if err != nil || len(found.Findings) != 0 || len(found.Units) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
}
