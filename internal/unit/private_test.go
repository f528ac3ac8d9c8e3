package unit

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/test/host"
)

// bootWithTests boots a host that has this program at /unit.test.
func bootWithTests(t *testing.T, units map[string]string) *host.Host {
	t.Helper()
	files := map[string]string{}
	for name, text := range units {
		files["/etc/systemd/system/"+name] = text
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return host.Start(t, host.Options{Files: files, Binds: map[string]string{"/app": host.Build(t, "./testdata/app"), "/unit.test": self}})
}

func inside(t *testing.T, h *host.Host, mode string) *host.Cmd {
	cmd := h.Cmd(t.Context(), "/unit.test")
	cmd.Env = append(cmd.Environ(), insideEnv+"="+mode)
	return cmd
}

// Without the bus everything goes through systemd's private socket.
func TestPrivateSocket(t *testing.T) {
	t.Parallel()
	h := bootWithTests(t, map[string]string{"web@.service": template("Type=notify", "ExecStart=/app")})
	if out, err := inside(t, h, "connect").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	systemctl(t, h, "stop", "dbus.socket", "dbus.service")

	cmd := inside(t, h, "watch")
	log := &logBuffer{}
	cmd.Stderr = log
	w := &watching{t: t, events: make(chan Event, 4096), log: log}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e Event
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				w.events <- e
			}
		}
		ended <- cmd.Wait()
	}()
	defer func() {
		cmd.Process.Signal(unix.SIGTERM)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("inside:\n%s\n%s", log, w.history(""))
		}
	}()
	resync := func() {
		t.Helper()
		w.await("resync", func(e Event) bool { return e.Kind == Resync })
	}
	cycle := func(name string) {
		t.Helper()
		systemctl(t, h, "start", name)
		u := w.awaitActive(name)
		if u.MainPID == 0 || u.ControlGroup == "" || len(u.Files) != 1 {
			t.Errorf("%+v", u)
		}
		systemctl(t, h, "stop", name)
		w.awaitGone(name)
	}
	resync()
	cycle("web@1.service")
	systemctl(t, h, "start", "web@2")
	w.awaitActive("web@2.service")
	systemctl(t, h, "daemon-reload")
	resync()
	// It closes this socket, and the bus is still away.
	h.Systemctl(t.Context(), "daemon-reexec")
	w.await("loss", func(e Event) bool { return e.Kind == Lost })
	resync()
	w.awaitActive("web@2.service")
	cycle("web@3.service")
	// The next connection is through the bus again.
	if got := strings.Count(log.String(), "private=true"); got != 2 {
		t.Errorf("%d connections to the private socket, want 2", got)
	}
	systemctl(t, h, "start", "dbus.socket", "dbus.service")
	cycle("web@4.service")
	h.Systemctl(t.Context(), "daemon-reexec")
	w.await("loss", func(e Event) bool { return e.Kind == Lost })
	resync()
	cycle("web@5.service")
	if !strings.Contains(log.String(), "private=false") {
		t.Error("the bus is not used when it is back")
	}
}

func TestBootFinished(t *testing.T) {
	t.Parallel()
	h := bootWithTests(t, map[string]string{
		"multi-user.target.d/probe.conf": "[Unit]\nWants=probe.service\n",
		"probe.service": "[Unit]\nBefore=multi-user.target\n[Service]\nType=oneshot\nStandardOutput=file:/run/probed\n" +
			"Environment=" + insideEnv + "=boot\nExecStart=/unit.test\n",
	})
	if while, err := h.ReadFile("/run/probed"); err != nil || while != "0s\n" {
		t.Errorf("BootFinished while it boots = %s, %v", while, err)
	}
	if at, err := newClient(t, h, nil).BootFinished(t.Context()); err != nil || at <= 0 || at > monotonic() {
		t.Errorf("BootFinished = %v, %v", at, err)
	}
}

// Where no connection is possible for a while, the watch goes on when one is.
func TestWatchConnectsLater(t *testing.T) {
	t.Parallel()
	h := boot(t, map[string]string{"web@.service": template("Type=notify", "ExecStart=/app")})
	systemctl(t, h, "stop", "dbus.socket", "dbus.service")
	log := &logBuffer{}
	w := &watching{Client: newClient(t, h, log.logger()), t: t, events: make(chan Event, 4096), log: log}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- w.Run(ctx, w.events) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}()
	if e, ok := w.take(300 * time.Millisecond); ok {
		t.Errorf("event %v without a connection", e.Kind)
	}
	systemctl(t, h, "start", "dbus.socket")
	w.await("resync", func(e Event) bool { return e.Kind == Resync })
	if got := strings.Count(log.String(), "level=WARN"); got != 1 {
		t.Errorf("%d warnings, want one for all tries:\n%s", got, log)
	}
}
