package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/test/load"
)

// kill9 ends the daemon at once, if it runs just then. (Not "kill" with a pid
// from systemctl: 0, of one that does not run, is the shell's process group, and
// that is the tests'.)
const kill9 = "systemctl kill --signal=KILL --kill-who=main switcherood || true"

// The daemon dies at any moment while instances ask it: before it has reserved
// the port, before it is bound, before or after the listener has come. Each
// start is all right in the end, each restart is one without a refusal, and
// nothing is left behind.
func TestExecDaemonKilledAnywhere(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec("[Unit]", "StartLimitIntervalSec=0"), quickly, keys("StandbySec=0", "DrainSec=10"))
	s.deploy("v0")
	stop := s.load(load.Config{Short: 4, Rate: 100, Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 20999}}, fromItself, fromAnother)
	last := "v0"
	const n = 16
	for i := 1; i <= n; i++ {
		moment := rand.IntN(100)
		if i%2 == 0 {
			next := fmt.Sprintf("v%d", i)
			s.do(fmt.Sprintf("systemctl start --no-block myapp@%s; sleep 0.%03d; %s", next, moment, kill9))
			last = next
		} else {
			s.do(fmt.Sprintf("systemctl restart --no-block myapp@%s; sleep 0.%03d; %s", last, moment, kill9))
		}
		s.is("myapp@"+last, "active")
		s.current("myapp@" + last + ".service")
		s.is("switcherood", "active")
	}
	s.within(load.MaxDuration, "the old ones are stopped", s.onlyRuns("myapp@"+last+".service"))
	s.notRefused(stop(), n)
	s.keeps(1)
	s.served(last)
	// What the last daemon was given is as good as what the first was.
	before := s.property("myapp@"+last, "InvocationID")
	s.systemctl("restart", "myapp@"+last)
	s.restarted(last, before)
	if text := s.journal(); strings.Contains(text, "connections are refused until") {
		t.Errorf("the rule was withdrawn:\n%s", text)
	}
	s.systemctl("stop", "myapp@"+last)
	s.keeps(0)
}

// systemd re-executes itself, the daemon dies afterwards or is restarted: the
// listener is still kept.
func TestExecSystemdReexecuted(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec(), quickly)
	s.deploy("v1")
	s.keeps(1)
	s.systemctl("daemon-reexec")
	s.keeps(1)
	stop := s.load(load.Config{Short: 4, Rate: 100, Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 20999}}, fromItself, fromAnother)
	all := []string{kill9, "systemctl daemon-reexec", kill9 + "; systemctl daemon-reexec", "systemctl restart switcherood"}
	for _, line := range all {
		before := s.property("myapp@v1", "InvocationID")
		s.do(line + "; systemctl restart myapp@v1")
		s.is("switcherood", "active")
		s.restarted("v1", before)
		s.keeps(1)
	}
	s.notRefused(stop(), len(all))
}

// A daemon that does not run is started by the socket, and one that cannot be
// started is waited for, but not for ever.
func TestExecWithoutDaemon(t *testing.T) {
	t.Parallel()
	s := setExec(t, execStart("/usr/bin/switcheroo exec --timeout=2s -- /opt/myapp/server -version %i -listen fd $ARGS"))
	s.systemctl("stop", "switcherood")
	s.start("myapp@v1")
	s.served("v1")
	s.write(map[string]string{"/etc/systemd/system/switcherood.service.d/broken.conf": "[Service]\nExecStart=\nExecStart=/bin/false\n"})
	s.systemctl("daemon-reload")
	s.systemctl("stop", "switcherood")
	if _, err := s.host.Systemctl(t.Context(), "start", "myapp@v2"); err == nil {
		t.Error("it starts without its port")
	}
	out, err := s.host.Journal(t.Context(), "myapp@v2.service")
	if err != nil || !strings.Contains(out, "switcheroo: error: switcherood does not answer in time") {
		t.Errorf("%v:\n%s", err, out)
	}
	s.served("v1")
}
