package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// Every way in: two backends, from another host and from the host itself, by
// IPv4, IPv6 and a secondary address.
func TestSwitch(t *testing.T) {
	for _, b := range []backend{nft, legacy} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			s := setWith(t, b)
			for _, version := range []string{"v1", "v2"} {
				s.deploy(version)
				for _, addr := range []string{server4 + ":8080", "[" + server6 + "]:8080", second4 + ":8080"} {
					if got := s.fromClient(addr); got != version {
						t.Errorf("%s from another host: served by %q, want %q", addr, got, version)
					}
					if got := s.fromHost(addr); got != version {
						t.Errorf("%s from the host: served by %q, want %q", addr, got, version)
					}
				}
				for _, addr := range []string{"127.0.0.1:8080", "[::1]:8080"} {
					if got := s.fromHost(addr); got != version {
						t.Errorf("%s from the host: served by %q, want %q", addr, got, version)
					}
				}
			}
			s.is("myapp@v1", "inactive")
			s.is("myapp@v2", "active")
		})
	}
}

func TestThreeVersionsInARow(t *testing.T) {
	t.Parallel()
	s := set(t)
	for _, version := range []string{"v1", "v2", "v3"} {
		s.deploy(version)
	}
	s.is("myapp@v1", "inactive")
	s.is("myapp@v2", "inactive")
	s.is("myapp@v3", "active")
	s.served("v3")
}

func TestSecondDeployWhileTheFirstDrains(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=0", "DrainSec=60s"))
	s.deploy("v1")
	one := s.hold(server4 + ":8080")
	s.deploy("v2")
	two := s.hold(server4 + ":8080")
	s.log("quiesced", "myapp@v1")
	s.deploy("v3")
	s.log("quiesced", "myapp@v2")
	// Both old ones still serve whom they have.
	one.says("v1")
	two.says("v2")
	s.is("myapp@v1", "active")
	s.is("myapp@v2", "active")
	// Each goes when its last connection has.
	two.close()
	s.is("myapp@v2", "inactive")
	one.says("v1")
	one.close()
	s.is("myapp@v1", "inactive")
	s.served("v3")
}

func TestDrainEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=0", "DrainSec=1s"))
	s.deploy("v1")
	held := s.hold(server4 + ":8080")
	defer held.close()
	s.deploy("v2")
	s.log("drain deadline", "myapp@v1", "connections=1")
	s.is("myapp@v1", "inactive")
}

func TestTwoStartedAtOnce(t *testing.T) {
	t.Parallel()
	s := set(t)
	s.deploy("v1")
	s.start("myapp@v2", "myapp@v3")
	// Whichever was ready last has the port; the other two go.
	s.eventually("one is left", func() error {
		left := 0
		for _, v := range []string{"v1", "v2", "v3"} {
			if s.property("myapp@"+v, "ActiveState") == "active" {
				left++
			}
		}
		if left != 1 {
			return fmt.Errorf("%d are", left)
		}
		return nil
	})
	got := s.fromClient(server4 + ":8080")
	if got != "v2" && got != "v3" {
		t.Fatalf("served by %q", got)
	}
	s.is("myapp@"+got, "active")
}

func TestRestartOfTheCurrent(t *testing.T) {
	t.Parallel()
	s := set(t)
	s.deploy("v1")
	before := s.property("myapp@v1", "InvocationID")
	s.systemctl("restart", "myapp@v1")
	s.served("v1")
	if after := s.property("myapp@v1", "InvocationID"); after == before {
		t.Error("it was not restarted")
	}
}

func TestStopOfTheNewRightAfter(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=30s"))
	s.deploy("v1")
	s.deploy("v2")
	s.systemctl("stop", "myapp@v2")
	s.served("v1")
	s.log("switched back", "myapp@v1")
	s.is("myapp@v1", "active")
}

func TestSecondaryAddress(t *testing.T) {
	t.Parallel()
	s := set(t, keys("Listen=", "Listen="+second4+":8080"), args("v2", "-listen "+second4+":0"))
	s.start("myapp@v1")
	only := func(version string) {
		t.Helper()
		s.eventually("served by "+version, func() error {
			if got := s.fromClient(second4 + ":8080"); got != version {
				return fmt.Errorf("served by %q", got)
			}
			return nil
		})
		for _, addr := range []string{server4 + ":8080", "[" + server6 + "]:8080"} {
			if got := s.fromClient(addr); got != "refused" {
				t.Errorf("%s is not ours, but %q", addr, got)
			}
		}
	}
	only("v1")
	s.start("myapp@v2") // bound to that address alone
	only("v2")
	s.is("myapp@v1", "inactive")
}

func TestListenerTypes(t *testing.T) {
	t.Parallel()
	s := set(t, args("v4", "-listen tcp4:0.0.0.0:0"), args("v6", "-listen tcp6:[::]:0"))
	s.start("myapp@v4")
	s.log("switched", "to=myapp@v4.service")
	if got := s.fromClient("[" + server6 + "]:8080"); got != "refused" {
		t.Errorf("IPv6 to an IPv4 server: %q", got)
	}
	// It would cut IPv4 off.
	s.start("myapp@v6")
	s.log("not switched to", "myapp@v6", "IPv4")
	if got := s.fromClient(server4 + ":8080"); got != "v4" {
		t.Errorf("served by %q", got)
	}
	s.deploy("v7")                                     // both
	s.eventually("IPv6 is served, too", func() error { // each family has a commit of its own
		if got := s.fromClient("[" + server6 + "]:8080"); got != "v7" {
			return fmt.Errorf("served by %q", got)
		}
		return nil
	})
}

// Units that do not say themselves when they are ready.
func TestServiceTypes(t *testing.T) {
	for _, kind := range []string{"simple", "exec", "forking", "notify-reload"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			run := "/opt/myapp/server -version %i $ARGS"
			if kind == "forking" {
				run = `/bin/sh -c "/opt/myapp/server -version %i $ARGS & "`
			}
			s := set(t, map[string]string{"/etc/systemd/system/myapp@.service.d/type.conf": fmt.Sprintf(
				"[Service]\nType=%s\nExecStart=\nExecStart=%s\n", kind, run)})
			s.deploy("v1")
			s.deploy("v2")
			s.is("myapp@v1", "inactive")
			if s.property("myapp@v2", "Type") == "notify-reload" { // systemd 253 and later
				s.systemctl("reload", "myapp@v2")
			}
			s.served("v2")
		})
	}
}

func TestFixedPort(t *testing.T) {
	t.Parallel()
	s := set(t, keys("Port=%i"), args("7001", "-listen [::]:7001"), args("7002", "-listen [::]:7002"), args("7003", "-listen [::]:7004"))
	s.deploy("7001")
	s.deploy("7002")
	s.is("myapp@7001", "inactive")
	s.start("myapp@7003")
	s.log("not switched to", "myapp@7003", "nothing listens on its private port 7003")
	s.served("7002")
}

func TestSeveralEndpoints(t *testing.T) {
	t.Parallel()
	s := set(t,
		keys("Listen=", "Listen=web=8080", "Listen=admin=127.0.0.1:9090"),
		instance("v1", "[X-Switcheroo]\nPort=web=7001\nPort=admin=7002\n[Service]\nEnvironment=\"ARGS=-listen [::]:7001 -listen 127.0.0.1:7002\"\n"),
		instance("v2", "[X-Switcheroo]\nPort=web=7003\nPort=admin=7004\n[Service]\nEnvironment=\"ARGS=-listen [::]:7003 -listen 127.0.0.1:7004\"\n"))
	for _, version := range []string{"v1", "v2"} {
		s.deploy(version)
		if got := s.fromHost("127.0.0.1:9090"); got != version {
			t.Errorf("admin: served by %q, want %q", got, version)
		}
		if got := s.fromClient(server4 + ":9090"); got != "refused" {
			t.Errorf("admin from another host: %q", got)
		}
	}
	s.is("myapp@v1", "inactive")
}

// Enablement follows the switch, so that a reboot comes back with what is live.
func TestEnablementFollows(t *testing.T) {
	t.Parallel()
	s := set(t)
	s.systemctl("enable", "myapp@v1")
	s.deploy("v1")
	s.deploy("v2")
	s.is("myapp@v1", "inactive")
	enabled := func(unit string) string {
		out, _ := s.host.Systemctl(t.Context(), "is-enabled", unit) // its status says the same
		return strings.TrimSpace(out)
	}
	if got := enabled("myapp@v1"); got != "disabled" {
		t.Errorf("v1 is %s", got)
	}
	if got := enabled("myapp@v2"); got != "enabled" {
		t.Errorf("v2 is %s", got)
	}
}
