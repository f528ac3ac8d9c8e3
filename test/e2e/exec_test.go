package e2e

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

// hardened is the sandbox that instances which ask the daemon are to work in.
const hardened = `[Service]
DynamicUser=yes
ProtectSystem=strict
PrivateUsers=yes
ProtectProc=invisible
SystemCallFilter=@system-service
CapabilityBoundingSet=
NoNewPrivileges=yes
`

// execStart is a drop-in with another ExecStart= for all instances of myapp, in the
// sandbox.
func execStart(command string, more ...string) map[string]string {
	return map[string]string{"/etc/systemd/system/myapp@.service.d/exec.conf": hardened + "ExecStart=\nExecStart=" + command + "\n" + strings.Join(more, "\n") + "\n"}
}

// byExec starts the server by `switcheroo exec`.
func byExec(more ...string) map[string]string {
	return execStart("/usr/bin/switcheroo exec -- /opt/myapp/server -version %i -listen fd $ARGS", more...)
}

// quickly restarts the daemon sooner than its unit says.
var quickly = map[string]string{"/etc/systemd/system/switcherood.service.d/restart.conf": "[Service]\nRestartSec=50ms\n"}

// setExec opens a stage that has the command line, too.
func setExec(t testing.TB, files ...map[string]string) *stage {
	t.Helper()
	all := map[string]string{}
	for _, f := range append([]map[string]string{socketUnit(t)}, files...) {
		maps.Copy(all, f)
	}
	return open(t, nft, map[string]string{"/usr/bin/switcheroo": host.Build(t, "github.com/switcheroo/switcheroo/cmd/switcheroo")}, all)
}

// privatePort returns the private port of an instance of myapp.
func (s *stage) privatePort(version string) uint16 {
	s.Helper()
	all, err := s.api().Instances(s.Context(), api.Select{})
	if err != nil {
		s.Fatal(err)
	}
	for _, in := range all {
		if in.Unit == "myapp@"+version+".service" && len(in.Ports) == 1 {
			return in.Ports[0]
		}
	}
	s.Fatalf("myapp@%s has no private port: %+v", version, all)
	return 0
}

// stored returns how many file descriptors systemd keeps for the daemon.
func (s *stage) stored() int {
	s.Helper()
	n, err := strconv.Atoi(s.property("switcherood", "NFileDescriptorStore"))
	if err != nil {
		s.Fatal(err)
	}
	return n
}

// keeps waits until systemd keeps n of the daemon's file descriptors.
func (s *stage) keeps(n int) {
	s.Helper()
	s.eventually(fmt.Sprintf("%d listeners are kept", n), func() error {
		if got := s.stored(); got != n {
			return fmt.Errorf("%d are", got)
		}
		return nil
	})
}

// An instance is passed its listener, in the same process and in a hard sandbox,
// and the daemon keeps a copy for as long as the instance runs.
func TestExecPassesAListener(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec(), keys("StandbySec=0"))
	s.deploy("v1")
	port := s.privatePort("v1")
	if port < 61000 || port > 64999 {
		t.Errorf("private port %d", port)
	}
	pid := s.property("myapp@v1", "MainPID")
	environment := strings.Split(s.do("cat /proc/"+pid+"/environ"), "\x00")
	for _, want := range []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=switcheroo", "LISTEN_PID=" + pid} {
		found := false
		for _, e := range environment {
			found = found || e == want
		}
		if !found {
			t.Errorf("no %s in %q", want, environment)
		}
	}
	if status := s.do("cat /proc/" + pid + "/status"); !strings.Contains(status, "CapEff:\t0000000000000000") || !strings.Contains(status, "Seccomp:\t2") {
		t.Errorf("not in the sandbox:\n%s", status)
	}
	if got := s.do(fmt.Sprintf("ss -Hltn sport = :%d", port)); !strings.Contains(got, " 4096 ") {
		t.Errorf("backlog: %s", got)
	}
	s.keeps(1)
	s.deploy("v2")
	if again := s.privatePort("v2"); again == port {
		t.Errorf("both have port %d", again)
	}
	s.is("myapp@v1", "inactive")
	s.keeps(1)
	s.systemctl("stop", "myapp@v2")
	s.keeps(0)
	s.eventually("the ports are given back", func() error {
		if text, err := s.host.ReadFile("/run/switcheroo/state.json"); err != nil || strings.Contains(text, `"reserved"`) {
			return fmt.Errorf("%v:\n%s", err, text)
		}
		return nil
	})
}

// restarted waits until another activation of an instance of myapp than before
// has the traffic.
func (s *stage) restarted(version, before string) {
	s.Helper()
	c := s.api()
	defer c.Close()
	s.within(30*time.Second, "it is back", func() error {
		all, err := c.Instances(s.Context(), api.Select{})
		for _, in := range all {
			if in.Unit == "myapp@"+version+".service" && in.State == api.Current && in.Invocation != before {
				return nil
			}
		}
		return fmt.Errorf("%+v, %v", all, err)
	})
}

// notRefused checks that clients may have waited, and no more.
func (s *stage) notRefused(result *load.Result, restarts int) {
	s.Helper()
	all := result.Total()
	s.Logf("%d restarts: the longest connect took %s, the longest request after it %s", restarts,
		all.Connects.Max().Round(time.Millisecond), all.Answers.Max().Round(time.Millisecond))
	if n := all.Failures[load.Refused]; n > 0 {
		s.Errorf("%d connections were refused", n)
	}
	if text := s.journal(); strings.Contains(text, "connections are refused until") {
		s.Errorf("the rule was withdrawn:\n%s", text)
	}
}

// The current instance is restarted again and again under load, and sometimes
// the daemon dies meanwhile. Nobody is refused: who comes in between waits in
// the queue of the listener that is kept, and the new process takes it over.
func TestExecRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec("[Unit]", "StartLimitIntervalSec=0"), quickly)
	s.deploy("v1")
	port := s.privatePort("v1")
	stop := s.load(load.Config{Short: 8, Rate: 400, Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 20999}}, fromItself, fromAnother)
	const restarts = 20
	for i := range restarts {
		before := s.property("myapp@v1", "InvocationID")
		if i%4 == 3 {
			s.do(kill9 + "; systemctl restart myapp@v1")
		} else {
			s.systemctl("restart", "myapp@v1")
		}
		s.restarted("v1", before)
	}
	result := stop()
	s.notRefused(result, restarts)
	t.Log(tableOf(t, result))
	lostNothing(t, result)
	if got := s.privatePort("v1"); got != port {
		t.Errorf("it had port %d, and has %d", port, got)
	}
}

// It crashes instead, and systemd restarts it. What was open then is lost with
// the process; nobody is refused.
func TestExecCrashesUnderLoad(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec("Restart=always", "RestartSec=300ms", "[Unit]", "StartLimitIntervalSec=0"), quickly)
	s.deploy("v1")
	stop := s.load(load.Config{Short: 8, Rate: 200, Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 20999}}, fromItself, fromAnother)
	const crashes = 5
	for range crashes {
		before := s.property("myapp@v1", "InvocationID")
		s.systemctl("kill", "--signal=KILL", "--kill-who=main", "myapp@v1")
		s.restarted("v1", before)
	}
	s.notRefused(stop(), crashes)
	// When it ends for good, it is withdrawn as ever.
	s.systemctl("stop", "myapp@v1")
	s.log("connections are refused until")
	s.keeps(0)
}
