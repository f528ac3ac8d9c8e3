package unit

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// texts returns what is in a unit's files, by path.
func texts(u Status) map[string]string {
	m := map[string]string{}
	for _, f := range u.Files {
		m[f.Path] = string(f.Data)
	}
	return m
}

const webFile = "/etc/systemd/system/web@.service"

func TestWatchReload(t *testing.T) {
	t.Parallel()
	text := template("Type=notify", "ExecStart=/app")
	h := boot(t, map[string]string{"web@.service": text})
	w := watch(t, h)
	systemctl(t, h, "start", "web@1", "web@2")
	w.awaitActive("web@2.service")
	before := w.awaitActive("web@1.service")

	edited := text + "# edited\n"
	writeFile(t, h, webFile, edited)
	w.settle()
	if diff := cmp.Diff(map[string]string{webFile: text}, texts(w.units["web@1.service"])); diff != "" {
		t.Errorf("not reloaded yet (-want +got):\n%s", diff)
	}
	if now, err := w.Status(t.Context(), "web@1.service"); err != nil || !now.NeedReload {
		t.Errorf("Status = %+v, %v, want NeedReload", now, err)
	}

	systemctl(t, h, "daemon-reload")
	w.await("resync after the reload", func(e Event) bool { return e.Kind == Resync })
	w.settle()
	for _, name := range []string{"web@1.service", "web@2.service"} {
		if diff := cmp.Diff(map[string]string{webFile: edited}, texts(w.units[name])); diff != "" {
			t.Errorf("%s reloaded (-want +got):\n%s", name, diff)
		}
	}
	after := w.units["web@1.service"]
	after.Files, before.Files = nil, nil
	before.Job = ""
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("a reload changes no more than the files (-before +after):\n%s", diff)
	}
	for _, e := range w.seen {
		if e.Kind == Gone || e.Kind == Lost {
			t.Errorf("a reload is reported as %v", e.Kind)
		}
	}

	// On request the disk counts, whatever systemd has loaded.
	writeFile(t, h, webFile, edited+"# and again\n")
	w.Resync()
	w.await("resync on request", func(e Event) bool { return e.Kind == Resync })
	u := w.units["web@1.service"]
	if diff := cmp.Diff(map[string]string{webFile: edited + "# and again\n"}, texts(u)); diff != "" || !u.NeedReload {
		t.Errorf("NeedReload = %v, files (-want +got):\n%s", u.NeedReload, diff)
	}

	// Without the section they are nobody's business any more.
	writeFile(t, h, webFile, strings.Replace(text, "[X-Switcheroo]", "[X-Other]", 1))
	systemctl(t, h, "daemon-reload")
	w.await("resync without units", func(e Event) bool { return e.Kind == Resync && len(e.Units) == 0 })
	systemctl(t, h, "stop", "web@2")
	// And come back with it: nothing of what was known stands.
	writeFile(t, h, webFile, text)
	systemctl(t, h, "daemon-reload")
	w.await("resync with a unit", func(e Event) bool { return e.Kind == Resync && len(e.Units) == 1 })
	systemctl(t, h, "start", "web@2")
	w.awaitActive("web@2.service")
}

// A unit that is loaded anew is read anew, reload or not.
func TestWatchFilesOfNextStart(t *testing.T) {
	t.Parallel()
	text := template("Type=notify", "ExecStart=/app")
	plain := "[Service]\nExecStart=/bin/sleep 1000\n"
	h := boot(t, map[string]string{"web@.service": text, "bare@.service": plain})
	w := watch(t, h)
	systemctl(t, h, "start", "web@1", "bare@1")
	w.awaitActive("web@1.service")
	systemctl(t, h, "stop", "web@1", "bare@1")
	w.awaitGone("web@1.service")
	writeFile(t, h, "/etc/systemd/system/web@.service.d/more.conf", "[X-Switcheroo]\nListen=80\n")
	writeFile(t, h, "/etc/systemd/system/bare@.service.d/more.conf", "[X-Switcheroo]\nListen=81\n")
	systemctl(t, h, "start", "web@1", "bare@1")
	w.awaitActive("web@1.service")
	if got := len(w.units["web@1.service"].Files); got != 2 {
		t.Errorf("%d files, want the template and the drop-in", got)
	}
	w.awaitActive("bare@1.service")
}

func TestWatchReexec(t *testing.T) {
	t.Parallel()
	h := boot(t, map[string]string{"web@.service": template("Type=notify", "ExecStart=/app")})
	w := watch(t, h)
	systemctl(t, h, "start", "web@1")
	before := w.awaitUnit("web@1.service", "active", func(u Status) bool { return u.Active == "active" && u.Job == "" })
	w.settle()

	reexec := h.Cmd(t.Context(), "systemctl", "daemon-reexec")
	if err := reexec.Start(); err != nil {
		t.Fatal(err)
	}
	// Calls made meanwhile get through in the end.
	done := make(chan error, 2)
	go func() { _, err := w.Status(t.Context(), "web@1.service"); done <- err }()
	go func() { done <- w.Stop(t.Context(), "web@9.service") }()
	w.await("resync after the re-execution", func(e Event) bool { return e.Kind == Resync })
	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("call during daemon-reexec: %v", err)
		}
	}
	if err := reexec.Wait(); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if diff := cmp.Diff(before, w.units["web@1.service"]); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	systemctl(t, h, "start", "web@2")
	w.awaitActive("web@2.service")

	// Stop, at any moment of it.
	for _, name := range []string{"web@1.service", "web@2.service"} {
		reexec := h.Cmd(t.Context(), "systemctl", "daemon-reexec")
		if err := reexec.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := w.Stop(ctx, name); err != nil {
			t.Errorf("Stop during daemon-reexec: %v", err)
		}
		cancel()
		w.awaitGone(name)
		reexec.Wait()
	}
	for _, e := range w.seen {
		if e.Kind == Lost {
			t.Error("the connection was lost")
		}
	}
}

func TestWatchBusRestart(t *testing.T) {
	t.Parallel()
	h := boot(t, map[string]string{"web@.service": template("Type=notify", "ExecStart=/app")})
	w := watch(t, h)
	systemctl(t, h, "start", "web@1")
	w.awaitActive("web@1.service")
	for i := range 3 {
		from := len(w.seen)
		systemctl(t, h, "restart", "dbus.service")
		w.await("loss", func(e Event) bool { return e.Kind == Lost })
		if _, ok := w.units["web@1.service"]; !ok {
			t.Error("a lost connection says nothing of the units")
		}
		if _, err := w.Status(t.Context(), "web@1.service"); err != nil {
			t.Errorf("Status after the bus has restarted: %v", err)
		}
		w.await("resync", func(e Event) bool { return e.Kind == Resync && len(e.Units) == 1 })
		systemctl(t, h, "start", "web@2")
		w.awaitActive("web@2.service")
		systemctl(t, h, "stop", "web@2")
		w.awaitGone("web@2.service")
		if t.Failed() {
			t.Fatalf("round %d:\n%s", i, w.historyFrom(from, ""))
		}
	}
}
