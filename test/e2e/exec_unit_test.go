package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// The lines of a unit together, as documented: its listener by exec, a start
// that ends with the switch, and a stop that drains first; in a hard sandbox.
func TestExecWaitAndDrain(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec("TimeoutStartSec=60", "ExecStartPost=/usr/bin/switcheroo wait %n", "ExecStop=-/usr/bin/switcheroo drain %n"),
		keys("StandbySec=1min", "DrainSec=1min", "ProbeTimeoutSec=3", "Probe=http:/healthz"), args("sick", "-mode unhealthy"))
	s.start("myapp@v1")
	// The switch is done when systemctl returns.
	if got := s.fromClient(server4 + ":8080"); got != "v1" {
		t.Errorf("served by %q", got)
	}
	// systemctl fails when the switch does.
	if _, err := s.host.Systemctl(t.Context(), "start", "myapp@sick"); err == nil {
		t.Error("the start of what is refused succeeds")
	}
	s.is("myapp@sick", "failed")
	out, err := s.host.Journal(t.Context(), "myapp@sick.service")
	if err != nil || !strings.Contains(out, "switcheroo: error: myapp@sick.service: it did not pass Probe=http:/healthz") {
		t.Errorf("%v:\n%s", err, out)
	}
	s.served("v1")
	s.keeps(1)
	s.start("myapp@v2")
	if got := s.fromClient(server4 + ":8080"); got != "v2" {
		t.Errorf("served by %q", got)
	}
	// The current one is stopped by hand: new connections go back to the one
	// that is warm, the open one ends by itself.
	s.stopDrains("v2", "v1")
	s.is("myapp@v2", "inactive")
	s.served("v1")
	s.keeps(1)
	// With no other that runs it cannot be drained, and is stopped all the same.
	s.systemctl("stop", "myapp@v1")
	s.is("myapp@v1", "inactive")
	s.keeps(0)
}

// The restart of the current one waits for its own switch, too, although its
// rule has never gone.
func TestExecWaitAtARestart(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec("TimeoutStartSec=60", "ExecStartPost=/usr/bin/switcheroo wait %n"), keys("ProbeTimeoutSec=2", "Probe=http:/healthz"))
	s.start("myapp@v1")
	s.systemctl("restart", "myapp@v1")
	s.served("v1")
	s.write(args("v1", "-mode unhealthy"))
	s.systemctl("daemon-reload")
	if _, err := s.host.Systemctl(t.Context(), "restart", "myapp@v1"); err == nil {
		t.Error("the restart into what is refused succeeds")
	}
	s.is("myapp@v1", "failed")
	s.log("not switched to", "myapp@v1.service", "it did not pass Probe=")
	s.keeps(0)
	if got := s.fromClient(server4 + ":8080"); got != "refused" {
		t.Errorf("served by %q", got)
	}
}

// Others run their own checks in ExecStartPost=: only those whose wait has asked
// are ready there.
func TestExecOnlyWaitIsReady(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec("ExecStartPost=/bin/sh -c 'while ! test -e /run/go-on; do sleep 0.05; done'", "TimeoutStartSec=60"))
	cmd := s.host.Cmd(t.Context(), "systemctl", "start", "myapp@v1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.eventually("it is in start-post", func() error {
		if got := s.property("myapp@v1", "SubState"); got != "start-post" {
			return fmt.Errorf("it is in %s", got)
		}
		return nil
	})
	s.keeps(1)
	if got := s.stateOf("myapp@v1.service"); got != "starting" {
		t.Errorf("it is %s", got)
	}
	if got := s.fromClient(server4 + ":8080"); got != "refused" {
		t.Errorf("served by %q", got)
	}
	s.do("touch /run/go-on")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	s.served("v1")
}

// stopDrains stops a version, which is current and drains in its
// ExecStop=, as an operator would: the traffic goes back to another one at once,
// and the stop waits for what is open.
func (s *stage) stopDrains(version, back string) {
	s.Helper()
	unit := "myapp@" + version
	held := s.hold(server4 + ":8080")
	stop := s.host.Cmd(s.Context(), "systemctl", "stop", unit)
	if err := stop.Start(); err != nil {
		s.Fatal(err)
	}
	s.served(back)
	s.log("quiesced", unit+".service")
	held.says(version)
	if got := s.property(unit, "SubState"); got != "stop" {
		s.Errorf("%s is in %s", version, got)
	}
	held.close()
	if err := stop.Wait(); err != nil {
		s.Error(err)
	}
}
