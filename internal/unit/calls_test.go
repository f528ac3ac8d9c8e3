package unit

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCalls(t *testing.T) {
	t.Parallel()
	install := "[Install]\nWantedBy=multi-user.target\n"
	h := boot(t, map[string]string{
		"web@.service":    template("Type=notify", "ExecStart=/app") + install,
		"never.service":   "[Unit]\nRefuseManualStop=yes\n" + template("ExecStart=/bin/sleep 1000"),
		"other.service":   "[Service]\nExecStart=/bin/sleep 1000\n",
		"static@.service": template("ExecStart=/bin/sleep 1000"),
		"slow@.service":   template("Type=notify", "ExecStart=/app -linger 1h"),
	})
	c := newClient(t, h, nil)
	ctx := t.Context()

	t.Run("stop", func(t *testing.T) {
		systemctl(t, h, "start", "web@1")
		if err := c.Stop(ctx, "web@1.service"); err != nil {
			t.Fatal(err)
		}
		if u, err := c.Status(ctx, "web@1.service"); err != nil || u.Active == "active" && u.Job != "stop" {
			t.Errorf("Status after Stop = %+v, %v", u, err)
		}
		sh(t, h, "while systemctl is-active web@1; do sleep 0.01; done")
		for _, name := range []string{"web@1.service", "web@none.service", "nothing-of-the-kind.service"} {
			if err := c.Stop(ctx, name); err != nil {
				t.Errorf("Stop(%s), which does not run = %v", name, err)
			}
		}
		systemctl(t, h, "start", "never")
		if err := c.Stop(ctx, "never.service"); err == nil || !strings.Contains(err.Error(), `stop unit "never.service"`) {
			t.Errorf("Stop of a unit that refuses = %v", err)
		}
		if err := c.Stop(ctx, "no unit name"); err == nil {
			t.Error("Stop of what is no name succeeded")
		}
	})

	t.Run("status", func(t *testing.T) {
		systemctl(t, h, "start", "other")
		u, err := c.Status(ctx, "other.service")
		if err != nil || u.Active != "active" || len(u.Files) != 1 {
			t.Errorf("Status of a unit without the section = %+v, %v", u, err)
		}
		systemctl(t, h, "start", "slow@1")
		if err := c.Stop(ctx, "slow@1.service"); err != nil {
			t.Fatal(err)
		}
		if u, err := c.Status(ctx, "slow@1.service"); err != nil || u.Job != "stop" || u.ended() {
			t.Errorf("Status while it stops = %+v, %v", u, err)
		}
		systemctl(t, h, "kill", "-s", "KILL", "slow@1")
	})

	t.Run("enablement", func(t *testing.T) {
		systemctl(t, h, "start", "web@1")
		state := func(name string) string {
			t.Helper()
			s, err := c.FileState(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			if out, _ := h.Systemctl(ctx, "is-enabled", name); strings.TrimSpace(out) != s {
				t.Errorf("FileState(%s) = %s, systemctl says %s", name, s, out)
			}
			return s
		}
		got := []string{state("web@1.service"), state("static@1.service")}
		for range 2 { // a second time is no error
			if err := c.Enable(ctx, "web@1.service"); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, state("web@1.service"))
		for range 2 {
			if err := c.Disable(ctx, "web@1.service"); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, state("web@1.service"))
		if diff := cmp.Diff([]string{"disabled", "static", "enabled", "disabled"}, got); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		if err := c.Enable(ctx, "static@1.service"); err == nil || !strings.Contains(err.Error(), "[Install]") {
			t.Errorf("Enable without [Install] = %v", err)
		}
		if _, err := c.FileState(ctx, "nothing-of-the-kind.service"); err == nil {
			t.Error("FileState of no file succeeded")
		}
		if err := c.Enable(ctx, "nothing-of-the-kind.service"); err == nil {
			t.Error("Enable of no file succeeded")
		}
	})
}

func TestCallsWithoutSystemd(t *testing.T) {
	c := New(Options{Root: t.TempDir()})
	defer c.Close()
	const patience = 500 * time.Millisecond
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Stop(ctx, "web@1.service"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "system_bus_socket") {
		t.Errorf("Stop = %v, want both that time is up and what was tried", err)
	}
	if took := time.Since(start); took < patience || took > 10*time.Second {
		t.Errorf("gave up after %v", took)
	}
	events := make(chan Event)
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Run(ctx, events); err != nil {
		t.Errorf("Run = %v", err)
	}
}
