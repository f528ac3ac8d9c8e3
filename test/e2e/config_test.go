package e2e

import (
	"fmt"
	"strings"
	"testing"
)

func TestListenIsEdited(t *testing.T) {
	t.Parallel()
	s := set(t)
	s.deploy("v1")
	s.write(map[string]string{"/etc/systemd/system/myapp@.service": strings.Replace(template, "Listen=8080", "Listen=8081", 1)})
	s.systemctl("daemon-reload")
	s.eventually("served on the new port", func() error {
		if got := s.fromClient(server4 + ":8081"); got != "v1" {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	if got := s.fromClient(server4 + ":8080"); got != "refused" {
		t.Errorf("the old port: %q", got)
	}
}

// A mistake is told with file and line, and nothing is lost by it.
func TestMistakeKeepsWhatWas(t *testing.T) {
	t.Parallel()
	s := set(t)
	s.deploy("v1")
	s.write(map[string]string{"/etc/systemd/system/myapp@.service": strings.Replace(template, "Listen=8080", "Lisen=8081", 1)})
	s.systemctl("daemon-reload")
	s.log("configuration error", "myapp@.service:14", "Lisen", "Listen")
	s.served("v1")
	s.systemctl("restart", "switcherood")
	s.served("v1")
	s.write(map[string]string{"/etc/systemd/system/myapp@.service": template})
	s.systemctl("reload", "switcherood") // SIGHUP reads again, too
	s.deploy("v2")
}

// Taking a unit's file away takes away its next start, not what runs: not
// even from a daemon that never saw the file.
func TestUnitFileIsTakenAway(t *testing.T) {
	for name, take := range map[string]string{
		"masked":  "systemctl mask myapp@v1.service",
		"deleted": "rm /etc/systemd/system/myapp@.service; systemctl daemon-reload",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set(t)
			s.deploy("v1")
			s.do(take)
			s.served("v1")
			s.systemctl("restart", "switcherood")
			s.log("its file", "myapp@v1.service")
			s.served("v1")
			if log := s.journal(); strings.Contains(log, "released") {
				t.Errorf("released:\n%s", log)
			}
		})
	}
}

// A mistake in a template shows before anything of it is started.
func TestMistakeInATemplate(t *testing.T) {
	t.Parallel()
	s := set(t, map[string]string{"/etc/systemd/system/other@.service": strings.Replace(template, "Listen=8080", "Listen=808000", 1)})
	s.log("configuration error", "other@.service:14", "808000")
	s.write(map[string]string{"/etc/systemd/system/third@.service": strings.Replace(template, "Listen=8080", "Listen=8080\nScope=everywhere", 1)})
	s.systemctl("daemon-reload")
	s.log("configuration error", "third@.service:15", "everywhere")
}

func TestSectionIsRemoved(t *testing.T) {
	t.Parallel()
	s := set(t)
	s.deploy("v1")
	before, _, _ := strings.Cut(template, "[X-Switcheroo]")
	s.write(map[string]string{"/etc/systemd/system/myapp@.service": before})
	s.systemctl("daemon-reload")
	s.eventually("released", func() error {
		if got := s.fromClient(server4 + ":8080"); got != "refused" {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	s.is("myapp@v1", "active")
}

// What cannot be enabled does not leave the service without anything enabled.
func TestNewOneCannotBeEnabled(t *testing.T) {
	t.Parallel()
	plain, install, _ := strings.Cut(strings.NewReplacer("%i", "web", "Listen=8080", "Listen=8080\nService=web").Replace(template), "[Install]")
	s := set(t, map[string]string{
		"/etc/systemd/system/blue.service":  plain + "[Install]" + install,
		"/etc/systemd/system/green.service": plain,
	})
	s.systemctl("enable", "--now", "blue")
	s.served("web")
	s.start("green")
	s.log("enablement did not follow", "[Install]")
	s.is("blue", "inactive")
	if got := s.systemctl("is-enabled", "blue"); got != "enabled" {
		t.Errorf("blue is %s", got)
	}
}

func TestTwoServicesClaimOnePort(t *testing.T) {
	t.Parallel()
	s := set(t, map[string]string{"/etc/systemd/system/other@.service": template})
	s.deploy("v1")
	s.start("other@v2")
	s.log("configuration error", "other@.service:", "Listen=8080", "myapp@v1.service")
	s.served("v1")
	s.is("myapp@v1", "active")
	s.is("other@v2", "active")
}

func TestPlainUnitsShareAService(t *testing.T) {
	t.Parallel()
	plain := func(name string) string {
		return strings.NewReplacer("%i", name, "Listen=8080", "Listen=8080\nService=shop").Replace(template)
	}
	s := set(t, map[string]string{
		"/etc/systemd/system/blue.service":  plain("blue"),
		"/etc/systemd/system/green.service": plain("green"),
	})
	s.start("blue")
	s.served("blue")
	s.start("green")
	s.served("green")
	s.is("blue", "inactive")
}

func TestBootWithTwoEnabled(t *testing.T) {
	t.Parallel()
	s := set(t, instance("v1", "[Service]\nExecStartPre=/bin/sleep 0.5\n"))
	s.deploy("v2")
	s.deploy("v1") // so v1 is what was current, and the slower to start
	s.is("myapp@v2", "inactive")
	s.systemctl("enable", "myapp@v1", "myapp@v2", "switcherood")
	if err := s.host.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.systemctl("start", "multi-user.target")
	s.served("v1")
	s.is("myapp@v2", "inactive")
	s.is("myapp@v1", "active")
	// And a deploy is a deploy again.
	s.deploy("v3")
}

func TestFiftyServices(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprintf("/etc/systemd/system/app%d@.service", i)] = strings.Replace(template, "Listen=8080", fmt.Sprintf("Listen=%d", 9000+i), 1)
	}
	s := set(t, files)
	for _, v := range []string{"v1", "v2"} {
		var units []string
		for i := range 50 {
			units = append(units, fmt.Sprintf("app%d@%s.service", i, v))
		}
		s.start(units...)
		for i := range 50 {
			s.eventually(units[i]+" serves", func() error {
				if got := s.fromClient(fmt.Sprintf("%s:%d", server4, 9000+i)); got != v {
					return fmt.Errorf("served by %q", got)
				}
				return nil
			})
		}
	}
	for i := range 50 {
		s.is(fmt.Sprintf("app%d@v1.service", i), "inactive")
	}
}

func TestManyRulesAtOnceStayWhenTheDaemonStops(t *testing.T) {
	t.Parallel()
	s := set(t)
	s.deploy("v1")
	s.systemctl("stop", "switcherood")
	s.served("v1")
	if out, err := s.host.Run(t.Context(), "/usr/sbin/switcherood", "--cleanup"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, command := range []string{"iptables-save", "ip6tables-save", "iptables-legacy-save", "nft list ruleset"} {
		out, err := s.host.Run(t.Context(), strings.Fields(command)...)
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		if strings.Contains(strings.ToLower(out), "switcheroo") || strings.Contains(out, "SW-") {
			t.Errorf("%s still shows:\n%s", command, out)
		}
	}
	s.is("myapp@v1", "active")
}

func TestCleanupBesideTheDaemonIsRefused(t *testing.T) {
	t.Parallel()
	s := set(t)
	s.deploy("v1")
	out, err := s.host.Run(t.Context(), "/usr/sbin/switcherood", "--cleanup")
	if err == nil || !strings.Contains(out, "systemctl stop switcherood") {
		t.Errorf("%v\n%s", err, out)
	}
	s.served("v1")
}
