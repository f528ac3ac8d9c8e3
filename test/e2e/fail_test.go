package e2e

import (
	"fmt"
	"testing"
	"time"
)

func TestDiesAfterTheSwitch(t *testing.T) {
	for name, restart := range map[string]string{"for good": "no", "and is restarted": "always"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set(t, keys("StandbySec=30s"), args("v2", "-die-after 1s"),
				map[string]string{"/etc/systemd/system/myapp@.service.d/restart.conf": "[Service]\nRestart=" + restart + "\nRestartSec=50ms\n"})
			s.deploy("v1")
			s.deploy("v2")
			s.log("switched back", "from=myapp@v2.service", "to=myapp@v1.service")
			s.served("v1")
			if restart == "always" {
				// What systemd restarts by itself neither takes the port nor lingers.
				s.is("myapp@v2", "inactive")
			} else {
				s.is("myapp@v2", "failed") // for the operator to see
			}
			s.is("myapp@v1", "active")
			s.served("v1")
			// A fixed one takes over as any other.
			s.deploy("v3")
		})
	}
}

func TestProbeFailsAfterTheSwitch(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=60s", "Probe=http:/healthz"), args("v2", "-mode unhealthy -well-for 1s"))
	s.deploy("v1")
	s.deploy("v2")
	s.log("switched back", "to=myapp@v1.service", "3 times in a row")
	s.served("v1")
	s.is("myapp@v2", "inactive")
}

// A new version that hangs within StandbySec= is found out, even if the third
// probe fails only after it.
func TestHangsAfterTheSwitch(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=3s", "ProbeTimeoutSec=1s"))
	s.deploy("v1")
	s.deploy("v2")
	s.systemctl("kill", "--signal=STOP", "myapp@v2")
	s.log("switched back", "to=myapp@v1.service", "3 times in a row")
	s.served("v1")
	s.systemctl("kill", "--signal=CONT", "myapp@v2")
	s.is("myapp@v2", "inactive")
}

func TestCurrentDiesWithNoOther(t *testing.T) {
	t.Parallel()
	s := set(t, keys("Port=7001"), args("v1", "-listen [::]:7001"))
	s.deploy("v1")
	if err := s.host.Kill9(t.Context(), "myapp@v1.service"); err != nil {
		t.Fatal(err)
	}
	s.log("refused until one is ready")
	// Another program on the private port does not get the traffic.
	squatter := s.squat("[::]:7001")
	for _, addr := range []string{server4 + ":8080", "[" + server6 + "]:8080"} {
		if got := s.fromClient(addr); got != "refused" {
			t.Errorf("%s from another host: %q", addr, got)
		}
		if got := s.fromHost(addr); got != "refused" {
			t.Errorf("%s from the host: %q", addr, got)
		}
	}
	squatter()
	s.deploy("v1")
}

func TestCurrentIsRestartedBySystemd(t *testing.T) {
	t.Parallel()
	s := set(t, map[string]string{"/etc/systemd/system/myapp@.service.d/restart.conf": "[Service]\nRestart=always\nRestartSec=50ms\n"})
	s.deploy("v1")
	if err := s.host.Kill9(t.Context(), "myapp@v1.service"); err != nil {
		t.Fatal(err)
	}
	s.log("refused until one is ready")
	s.served("v1")
}

func TestAutoRestartOfADrainingOne(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=0", "DrainSec=60s"),
		map[string]string{"/etc/systemd/system/myapp@.service.d/restart.conf": "[Service]\nRestart=always\nRestartSec=50ms\n"})
	s.deploy("v1")
	held := s.hold(server4 + ":8080")
	defer held.close()
	s.deploy("v2")
	s.log("quiesced", "myapp@v1")
	if err := s.host.Kill9(t.Context(), "myapp@v1.service"); err != nil {
		t.Fatal(err)
	}
	s.is("myapp@v1", "inactive")
	for range 20 {
		if got := s.fromClient(server4 + ":8080"); got != "v2" {
			t.Fatalf("served by %q", got)
		}
	}
}

// The old one takes longer than TimeoutStopSec=: it is killed, and does not
// leave the host degraded.
func TestOldDoesNotStop(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=0"), instance("v1", "[Service]\nTimeoutStopSec=500ms\nKillSignal=SIGWINCH\n"))
	s.deploy("v1")
	s.deploy("v2")
	s.log("old one stopped, but not cleanly", "myapp@v1", "result=timeout")
	s.is("myapp@v1", "inactive")
}

// The daemon dies at different moments of a deploy; traffic stays where it is,
// and the work is finished.
func TestDaemonKilled(t *testing.T) {
	kill := func(s *stage) {
		s.Helper()
		if err := s.host.Kill9(s.Context(), "switcherood.service"); err != nil {
			s.Fatal(err)
		}
	}
	back := func(s *stage, n int) {
		s.Helper()
		s.eventually("the daemon is back", func() error {
			if got := s.property("switcherood", "NRestarts"); got != fmt.Sprint(n) {
				return fmt.Errorf("it was restarted %s times", got)
			}
			if got := s.property("switcherood", "ActiveState"); got != "active" {
				return fmt.Errorf("it is %s", got)
			}
			return nil
		})
	}
	tests := map[string]func(*stage){
		"before the switch": func(s *stage) {
			kill(s)
			if got := s.fromClient(server4 + ":8080"); got != "v1" {
				s.Errorf("without daemon: %q", got)
			}
			s.start("myapp@v2")
			back(s, 1)
		},
		"in the switch": func(s *stage) {
			for n := range 5 {
				s.systemctl("start", "--no-block", "myapp@v2")
				s.within(10*time.Second, "v2 runs", func() error {
					if s.property("myapp@v2", "MainPID") == "0" {
						return fmt.Errorf("no process")
					}
					return nil
				})
				kill(s)
				back(s, n+1)
			}
		},
		"while the old one is quiesced and warm": func(s *stage) {
			s.start("myapp@v2")
			s.log("switched", "to=myapp@v2.service")
			kill(s)
			back(s, 1)
			s.served("v2")
		},
		"while the old one drains": func(s *stage) {
			held := s.hold(server4 + ":8080")
			s.deploy("v2")
			s.log("quiesced", "myapp@v1")
			time.Sleep(500 * time.Millisecond) // StandbySec=300ms is over: there is nothing to see of it
			kill(s)
			back(s, 1)
			held.says("v1")
			s.is("myapp@v1", "active")
			held.close()
		},
	}
	for name, at := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set(t, map[string]string{"/etc/systemd/system/switcherood.service.d/limit.conf": "[Service]\nRestartSec=200ms\n"})
			s.deploy("v1")
			at(s)
			s.served("v2")
			s.is("myapp@v1", "inactive")
			s.is("myapp@v2", "active")
		})
	}
}

func TestSystemdInMidSwitch(t *testing.T) {
	tests := map[string][]string{
		"daemon-reload": {"systemctl", "daemon-reload"},
		"daemon-reexec": {"systemctl", "daemon-reexec"},
		"dbus restart":  {"systemctl", "restart", "dbus.service"},
	}
	for name, command := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set(t)
			s.deploy("v1")
			for _, v := range []string{"v2", "v3", "v4"} {
				s.systemctl("start", "--no-block", "myapp@"+v)
				if out, err := s.host.Run(t.Context(), command...); err != nil {
					t.Fatalf("%v: %v\n%s", command, err, out)
				}
				s.served(v)
			}
			for _, v := range []string{"v1", "v2", "v3"} {
				s.is("myapp@"+v, "inactive")
			}
		})
	}
}
