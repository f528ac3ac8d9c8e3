package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// A service with several endpoints has a listener for each, by name.
func TestExecSeveralEndpoints(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec(), keys("Listen=", "Listen=http=8080 alt=8081", "StandbySec=0"))
	for _, version := range []string{"v1", "v2"} {
		s.deploy(version)
		for _, addr := range []string{server4 + ":8081", "[" + server6 + "]:8081"} {
			if got := s.fromClient(addr); got != version {
				t.Errorf("%s is served by %q", addr, got)
			}
		}
	}
	pid := s.property("myapp@v2", "MainPID")
	if env := s.do("tr '\\0' '\\n' </proc/" + pid + "/environ"); !strings.Contains(env, "LISTEN_FDNAMES=http:alt\n") || !strings.Contains(env, "LISTEN_FDS=2\n") {
		t.Errorf("%s", env)
	}
	s.is("myapp@v1", "inactive")
	s.keeps(2)
}

// Only one of the endpoints, and the others by another way.
func TestExecOnlyOneEndpoint(t *testing.T) {
	t.Parallel()
	s := setExec(t, execStart("/usr/bin/switcheroo exec --name alt -- /usr/bin/switcheroo exec --name http -- /opt/myapp/server -version %i -listen fd"),
		keys("Listen=", "Listen=http=8080 alt=8081"))
	s.deploy("v1")
	if got := s.fromClient(server4 + ":8081"); got != "v1" {
		t.Errorf("8081 is served by %q", got)
	}
	pid := s.property("myapp@v1", "MainPID")
	if env := s.do("tr '\\0' '\\n' </proc/" + pid + "/environ"); !strings.Contains(env, "LISTEN_FDNAMES=alt:http\n") {
		t.Errorf("%s", env)
	}
}

// With --port-only, or {port}, a server gets a number.
func TestExecPortOnly(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{
		"argument":    "/usr/bin/switcheroo exec -- /opt/myapp/server -version %i -listen [::]:{port}",
		"environment": "/usr/bin/switcheroo exec --port-only -- /bin/sh -c 'exec /opt/myapp/server -version %i -listen [::]:$$PORT'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setExec(t, execStart(command), keys("StandbySec=0"))
			s.deploy("v1")
			port := s.privatePort("v1")
			if port < 61000 || port > 64999 {
				t.Errorf("private port %d", port)
			}
			s.deploy("v2")
			s.is("myapp@v1", "inactive")
			s.systemctl("restart", "myapp@v2")
			s.served("v2")
			s.keeps(0)
		})
	}
}

// PrivatePorts= says where ports come from. What others have bound, or clients
// dial, is nobody's private port.
func TestExecPrivatePorts(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec(), keys("StandbySec=0"), map[string]string{
		"/etc/switcheroo/switcherood.conf.d/ports.conf": "[Switcherood]\nPrivatePorts=62000-62003\n",
		"/etc/systemd/system/other.service":             strings.NewReplacer("Listen=8080", "Listen=62000", "%i", "other").Replace(template),
	})
	s.start("other")
	release := s.squat("127.0.0.1:62001")
	s.deploy("v1")
	if got := s.privatePort("v1"); got != 62002 {
		t.Errorf("private port %d", got)
	}
	s.deploy("v2")
	if got := s.privatePort("v2"); got != 62003 {
		t.Errorf("private port %d", got)
	}
	s.is("myapp@v1", "inactive")
	s.keeps(1)
	s.deploy("v3")
	s.is("myapp@v2", "inactive")
	s.keeps(1)
	release()
	// It is read again, too.
	s.write(map[string]string{"/etc/switcheroo/switcherood.conf.d/ports.conf": "[Switcherood]\nPrivatePorts=62100-62199\n"})
	s.systemctl("reload", "switcherood")
	s.eventually("the new range is in effect", func() error {
		s.deploy("v4")
		if got := s.privatePort("v4"); got != 62100 {
			s.systemctl("stop", "myapp@v4")
			return fmt.Errorf("private port %d", got)
		}
		return nil
	})
}

// None is left: the start fails, and says what to do.
func TestExecNoPortIsLeft(t *testing.T) {
	t.Parallel()
	s := setExec(t, byExec(), map[string]string{"/etc/switcheroo/switcherood.conf.d/ports.conf": "[Switcherood]\nPrivatePorts=62000-62000\n",
		"/etc/systemd/system/myapp@.service.d/timeout.conf": "[Service]\nTimeoutStartSec=3\n"})
	s.deploy("v1")
	if _, err := s.host.Systemctl(t.Context(), "start", "myapp@v2"); err == nil {
		t.Error("it starts")
	}
	s.log("every port of PrivatePorts= is taken", "unit=myapp@v2.service", "range=62000-62000")
	out, err := s.host.Journal(t.Context(), "myapp@v2.service")
	if err != nil || !strings.Contains(out, "every port of PrivatePorts= is taken") || !strings.Contains(out, "hint: widen PrivatePorts= in /etc/switcheroo/switcherood.conf") {
		t.Errorf("%v:\n%s", err, out)
	}
	s.served("v1")
}
