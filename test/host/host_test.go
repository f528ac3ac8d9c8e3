package host_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/switcheroo/switcheroo/test/host"
)

func TestMain(m *testing.M) {
	if role := os.Getenv("HOST_TEST_ROLE"); role != "" {
		os.Exit(play(role))
	}
	os.Exit(host.Main(m))
}

// run runs a program in a guest and ends the test if it fails.
func run(t *testing.T, g interface {
	Run(context.Context, ...string) (string, error)
}, args ...string) string {
	t.Helper()
	out, err := g.Run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func TestBoot(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	h := host.Start(t, host.Options{
		Name: "bare",
		Files: map[string]string{
			// Over a symbolic link of the image, which must stay one.
			"/lib/systemd/system/hello.service":      "[Service]\nType=oneshot\nExecStart=/opt/hello\n",
			"/opt/hello":                             "#!/bin/sh\necho hello from $(hostname)\n",
			"/etc/systemd/system/endless.service":    "[Service]\nExecStart=sleep infinity\n",
			"/etc/systemd/system/credential.service": "[Service]\nType=oneshot\nLoadCredential=c:/etc/hostname\nExecStart=cat ${CREDENTIALS_DIRECTORY}/c\n",
		},
		Binds: map[string]string{"/opt/there/go.mod": "../../go.mod"},
	})
	t.Logf("booted in %v", time.Since(begin))
	ctx := t.Context()

	if got := run(t, h, "systemctl", "is-system-running"); got != "running" {
		failed, err := h.Failed(ctx)
		t.Errorf("the system is %s (failed: %v, %v)", got, failed, err)
	}
	if got := run(t, h, "hostname"); got != "bare" {
		t.Errorf("hostname is %q", got)
	}
	if got := run(t, h, "systemctl", "show", "--property=Version", "--value"); got == "" {
		t.Error("systemd tells no version")
	}
	if got := run(t, h, "pwd"); got != "/" {
		t.Errorf("commands run in %q", got)
	}
	if got := run(t, h, "cat", "/proc/self/cgroup"); !strings.HasSuffix(got, "0::/init.scope") {
		t.Errorf("commands run in cgroup %q", got)
	}
	if got, want := run(t, h, "head", "-1", "/opt/there/go.mod"), "module github.com/switcheroo/switcheroo"; got != want {
		t.Errorf("the bound file begins with %q", got)
	}
	if out, err := h.Run(ctx, "touch", "/opt/there/go.mod"); err == nil {
		t.Errorf("the bound file can be written to: %s", out)
	}

	run(t, h, "systemctl", "start", "hello", "credential")
	if got, err := h.Journal(ctx, "hello.service"); err != nil || !strings.Contains(got, "hello from bare\n") {
		t.Errorf("the journal of hello has %q (%v)", got, err)
	}
	if got, err := h.Journal(ctx, "credential.service"); err != nil || !strings.Contains(got, "bare\n") {
		t.Errorf("LoadCredential= delivered nothing: %q (%v)", got, err)
	}

	run(t, h, "systemctl", "start", "endless")
	if err := h.Kill9(ctx, "endless.service"); err != nil {
		t.Error(err)
	}
	await(t, "systemd to see that endless was killed", func() bool {
		result, err := h.Property(ctx, "endless.service", "Result")
		return err == nil && result == "signal"
	})
	if err := h.Kill9(ctx, "endless.service"); err == nil {
		t.Error("killed a process that is gone")
	}
	if got, err := h.Failed(ctx); err != nil || fmt.Sprint(got) != "[endless.service]" {
		t.Errorf("failed units: %v (%v)", got, err)
	}

	bus, err := dbus.Connect(h.Bus(), dbus.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	var names []string
	if err := bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.ListNames", 0).Store(&names); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(names, " "), "org.freedesktop.systemd1") {
		t.Errorf("systemd is not on the bus: %v", names)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	h := host.Start(t, host.Options{})
	for _, name := range []string{"/etc/systemd/system/a.service", "/run/made/now", "/lib/systemd/system/b.service"} {
		if err := h.WriteFile(name, "[Unit]\nDescription=x\n"); err != nil {
			t.Error(err)
		}
		if got := run(t, h, "stat", "-c", "%a", name); got != "644" {
			t.Errorf("mode of %s is %s", name, got)
		}
		if got, err := h.ReadFile(name); err != nil || got != "[Unit]\nDescription=x\n" {
			t.Errorf("%s reads %q (%v)", name, got, err)
		}
	}
	if _, err := os.Stat("/run/made"); err == nil {
		t.Error("the file was written on the machine")
	}
	if err := h.WriteFile("/bin/tool", "#!/bin/sh\necho works\n"); err != nil {
		t.Error(err)
	}
	if got := run(t, h, "tool"); got != "works" {
		t.Errorf("the script says %q", got)
	}
	// A link that leads out of the host when followed from here.
	run(t, h, "ln", "-s", "/tmp", "/opt/out")
	if err := h.WriteFile("/opt/out/of-host", ""); err == nil {
		t.Error("wrote over an absolute link")
	}
}

func TestMachineIsOutOfReach(t *testing.T) {
	t.Parallel()
	h := host.Start(t, host.Options{})
	for _, p := range []string{"/proc/sys/vm/swappiness", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/random/boot_id"} {
		if out, err := h.Run(t.Context(), "sh", "-c", "cat "+p+" >/tmp/was; cat /tmp/was >"+p); err == nil || !strings.Contains(out, "Read-only") {
			t.Errorf("%s can be written to: %s", p, out)
		}
	}
	run(t, h, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	run(t, h, "iptables", "-t", "nat", "-N", "SWITCHEROO-HOST-TEST")
	run(t, h, "touch", "/switcheroo-host-test", "/tmp/switcheroo-host-test", "/var/switcheroo-host-test")
	for _, p := range []string{"/switcheroo-host-test", "/tmp/switcheroo-host-test", "/var/switcheroo-host-test"} {
		if _, err := os.Stat(p); err == nil {
			t.Errorf("%s is on the machine", p)
		}
	}
}

func TestSignalsReachTheProgram(t *testing.T) {
	t.Parallel()
	h := host.Start(t, host.Options{})
	c := h.Cmd(t.Context(), "sh", "-c", `trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.01; done`)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := out.Read(buf)
	if err != nil || string(buf[:n]) != "ready\n" {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
	c.Process.Signal(syscall.SIGTERM)
	n, _ = out.Read(buf)
	c.Wait()
	if got := string(buf[:n]); got != "told\n" || c.ProcessState.ExitCode() != 3 {
		t.Errorf("printed %q, exit status %d", got, c.ProcessState.ExitCode())
	}
}

func TestRunSaysWhatFailed(t *testing.T) {
	t.Parallel()
	h := host.Start(t, host.Options{Name: "teller"})
	_, err := h.Run(t.Context(), "sh", "-c", "echo too bad >&2; exit 4")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"teller", "sh -c", "exit status 4", "too bad"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not tell %q", err, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Run(ctx, "sleep", "60"); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("a program that takes too long: %v", err)
	}
}

func TestBootFailureIsTold(t *testing.T) {
	const endless = "[Service]\nType=oneshot\nExecStart=sleep infinity\n"
	for _, c := range []struct {
		name string
		opts host.Options
		want string
	}{
		{"no such root", host.Options{Lower: "/proc/nonexistent"}, "no such file"},
		{"no systemd", host.Options{Lower: t.TempDir()}, "systemd is not installed"},
		{"an endless job", host.Options{Files: map[string]string{
			"/etc/systemd/system/endless.service":                endless,
			"/etc/systemd/system/multi-user.target.d/needs.conf": "[Unit]\nWants=endless.service\n",
		}}, "endless.service"},
		{"no such bind", host.Options{Binds: map[string]string{"/x": "/proc/nonexistent"}}, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			h, err := host.Boot(ctx, c.opts)
			if err == nil {
				h.Close()
				t.Fatal("booted")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q", err, c.want)
			}
		})
	}
	if got := traces(fmt.Sprintf("%d", os.Getpid())); len(got) > 0 {
		t.Errorf("hosts that did not boot left %v", got)
	}
}

// A host of an older systemd than is asked for is none.
func TestBootWantsAVersion(t *testing.T) {
	t.Setenv("SWITCHEROO_TEST_SYSTEMD", "100")
	host.Start(t, host.Options{})
	t.Setenv("SWITCHEROO_TEST_SYSTEMD", "9999")
	h, err := host.Boot(t.Context(), host.Options{})
	if err == nil {
		h.Close()
		t.Fatal("booted")
	}
	if !strings.Contains(err.Error(), "SWITCHEROO_TEST_SYSTEMD wants 9999") {
		t.Errorf("got %q", err)
	}
}

// traces returns the cgroups of hosts, and the mount points of their disks, of
// the process pid.
func traces(pid string) []string {
	cgroups, _ := filepath.Glob("/sys/fs/cgroup/switcheroo-host-" + pid + "-*")
	hybrid, _ := filepath.Glob("/sys/fs/cgroup/unified/switcheroo-host-" + pid + "-*")
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), "switcheroo-host-"+pid+"-*", "[0-9]*"))
	return append(append(cgroups, hybrid...), dirs...)
}
