package unit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/test/host"
)

// shown is what systemctl says of a unit, as a Status without Files and Job.
func shown(t *testing.T, h *host.Host, name string) Status {
	t.Helper()
	values := map[string]string{}
	out := systemctl(t, h, "show", name, "-p", "Id,InvocationID,ActiveState,SubState,Type,Result,NRestarts,MainPID,ControlGroup,NeedDaemonReload,ActiveEnterTimestampMonotonic,InactiveExitTimestampMonotonic")
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[key] = value
	}
	number := func(key string) uint64 {
		n, err := strconv.ParseUint(values[key], 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		return n
	}
	return Status{
		Name: values["Id"], Invocation: values["InvocationID"], Active: values["ActiveState"], Sub: values["SubState"],
		Type: values["Type"], Result: values["Result"], Restarts: uint32(number("NRestarts")), MainPID: uint32(number("MainPID")),
		ControlGroup: values["ControlGroup"], NeedReload: values["NeedDaemonReload"] == "yes",
		ReadyAt:   time.Duration(number("ActiveEnterTimestampMonotonic")) * time.Microsecond,
		StartedAt: time.Duration(number("InactiveExitTimestampMonotonic")) * time.Microsecond,
	}
}

func TestWatchTypes(t *testing.T) {
	t.Parallel()
	units := map[string]string{
		"notify@.service": template("Type=notify", "ExecStart=/app"),
		"reload@.service": template("Type=notify-reload", "ExecStart=/app"),
		"simple@.service": template("Type=simple", "ExecStart=/bin/sleep 1000"),
		"exec@.service":   template("Type=exec", "ExecStart=/bin/sleep 1000"),
		"forking@.service": template("Type=forking", "PIDFile=/run/%n.pid",
			`ExecStart=/bin/sh -c '/bin/sleep 1000 & echo $$! >/run/%n.pid'`),
		"oneshot@.service": template("Type=oneshot", "RemainAfterExit=yes", "ExecStart=/bin/true"),
		"plain.service":    template("ExecStart=/bin/sleep 1000"),
	}
	h := boot(t, units)
	w := watch(t, h)
	if diff := cmp.Diff([]string(nil), w.names()); diff != "" {
		t.Errorf("nothing runs (-want +got):\n%s", diff)
	}
	for file, text := range units {
		name := strings.Replace(file, "@", "@v1", 1)
		systemctl(t, h, "start", name)
		w.awaitUnit(name, "active, without a job", func(u Status) bool { return u.Active == "active" && u.Job == "" })
		w.settle()
		want := shown(t, h, name)
		want.Files = []File{{"/etc/systemd/system/" + file, []byte(text)}}
		if file == "oneshot@.service" {
			want.ControlGroup = w.units[name].ControlGroup // systemd removes it a little later, without a word
		}
		if diff := cmp.Diff(want, w.units[name]); diff != "" {
			t.Errorf("%s, as the events say (-want +got):\n%s", name, diff)
		}
		got, err := w.Status(t.Context(), name)
		if file == "oneshot@.service" {
			want.ControlGroup = got.ControlGroup
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Status(%s) = %v (-want +got):\n%s", name, err, diff)
		}
		for _, e := range w.seen {
			if u := e.Unit; e.Kind == Changed && u.Name == name && u.Active == "active" && u.ControlGroup == "" && file != "oneshot@.service" {
				t.Errorf("reported active without its cgroup: %s", brief(u))
			}
		}
		systemctl(t, h, "stop", name)
		w.awaitGone(name)
		got, err = w.Status(t.Context(), name)
		if diff := cmp.Diff(Status{Name: name, Active: "inactive", Sub: "dead"}, got); diff != "" || err != nil {
			t.Errorf("Status of %s, which is not loaded = %v (-want +got):\n%s", name, err, diff)
		}
	}
	w.settle()
	for i, e := range w.seen[1:] {
		if before := w.seen[i]; e.Kind == Changed && before.Kind == Changed && cmp.Equal(e, before) {
			t.Errorf("delivered twice: %s", brief(e.Unit))
		}
	}
	if t.Failed() {
		t.Log(w.history(""))
	}
}

// states is what the events said of a unit from the i-th on, in short.
func (w *watching) states(name string, i int) []string {
	var states []string
	for _, e := range w.seen[i:] {
		if e.Kind == Changed && e.Unit.Name == name {
			states = append(states, e.Unit.Active+"/"+e.Unit.Sub)
		}
	}
	return slices.Compact(states)
}

func TestWatchStates(t *testing.T) {
	t.Parallel()
	h := boot(t, map[string]string{
		"slow@.service": template("Type=notify", "ExecStart=/app -gate /run/%n.gate"),
		"post@.service": template("Type=notify", "ExecStart=/app", "ExecStartPost=/bin/sleep 0.2"),
		"bad@.service":  template("Type=notify", "ExecStart=/bin/false"),
		"loop@.service": template("Type=notify", "ExecStart=/bin/false", "Restart=always", "RestartSec=100ms",
			"StartLimitIntervalSec=0"),
		"auto@.service":   template("ExecStart=/bin/sleep 1000", "Restart=always", "RestartSec=20ms"),
		"linger@.service": template("ExecStart=/bin/sleep 1000", "ExecStop=/bin/sleep 0.3"),
		"late@.service":   template("Type=notify", "ExecStart=/bin/sleep 1000", "TimeoutStartSec=300ms"),
		"stuck@.service":  template("Type=notify", "ExecStart=/app -linger 1h", "TimeoutStopSec=200ms"),
	})
	w := watch(t, h)
	tests := []struct {
		name string
		run  func(t *testing.T)
	}{
		{"not ready yet", func(t *testing.T) {
			from := len(w.seen)
			systemctl(t, h, "start", "--no-block", "slow@1")
			up := w.awaitUnit("slow@1.service", "activating", func(u Status) bool { return u.Active == "activating" && u.Job != "" })
			if up.MainPID == 0 || up.ControlGroup == "" || up.Job != "start" || up.ReadyAt != 0 || up.StartedAt == 0 {
				t.Errorf("while it starts: %s, %+v", brief(up), up)
			}
			openGate(t, h, "slow@1.service")
			ready := w.awaitActive("slow@1.service")
			if ready.Invocation != up.Invocation || ready.ReadyAt <= up.StartedAt {
				t.Errorf("ready at %v, started at %v", ready.ReadyAt, up.StartedAt)
			}
			w.settle()
			want := []string{"activating/start", "active/running"}
			if diff := cmp.Diff(want, w.states("slow@1.service", from)); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
		}},
		{"manual restart", func(t *testing.T) {
			before, from := w.awaitActive("slow@1.service"), len(w.seen)
			systemctl(t, h, "restart", "--no-block", "slow@1")
			w.awaitUnit("slow@1.service", "activating", func(u Status) bool { return u.Active == "activating" })
			openGate(t, h, "slow@1.service")
			after := w.awaitUnit("slow@1.service", "active again", func(u Status) bool {
				return u.Active == "active" && u.Invocation != before.Invocation && u.Job == ""
			})
			if after.Restarts != 0 || after.MainPID == before.MainPID || after.ReadyAt <= before.ReadyAt {
				t.Errorf("from %s to %s", brief(before), brief(after))
			}
			for _, e := range w.seen[from:] {
				u := e.Unit
				switch {
				case u.Job == "restart" && (u.Active == "inactive" || u.Active == "activating"):
					t.Errorf("a restart whose stop is done is a start: %s", brief(u))
				case u.Active == "inactive" && u.Invocation != before.Invocation:
					t.Errorf("a new activation that has ended, or not begun: %s", brief(u))
				}
			}
		}},
		{"start-post", func(t *testing.T) {
			systemctl(t, h, "start", "--no-block", "post@1")
			u := w.awaitUnit("post@1.service", "start-post", func(u Status) bool { return u.Sub == "start-post" })
			if u.Active != "activating" || u.MainPID == 0 || u.ControlGroup == "" {
				t.Errorf("in start-post: %s", brief(u))
			}
			if u := w.awaitActive("post@1.service"); u.ControlGroup == "" {
				t.Errorf("active: %s", brief(u))
			}
		}},
		{"exits before ready", func(t *testing.T) {
			if _, err := h.Systemctl(t.Context(), "start", "bad@1"); err == nil {
				t.Error("start succeeded")
			}
			u := w.awaitUnit("bad@1.service", "failed", func(u Status) bool { return u.Active == "failed" })
			if u.Result == "success" || u.MainPID != 0 || u.ControlGroup != "" || u.Invocation == "" || u.ReadyAt != 0 {
				t.Errorf("failed: %s", brief(u))
			}
			if err := w.ResetFailed(t.Context(), "bad@1.service"); err != nil {
				t.Fatal(err)
			}
			w.awaitGone("bad@1.service")
			if err := w.ResetFailed(t.Context(), "bad@1.service"); err != nil {
				t.Errorf("ResetFailed of a unit that is not loaded = %v", err)
			}
		}},
		{"start times out", func(t *testing.T) {
			h.Systemctl(t.Context(), "start", "late@1") // fails
			u := w.awaitUnit("late@1.service", "failed", func(u Status) bool { return u.Active == "failed" })
			if u.Result != "timeout" {
				t.Errorf("Result = %q, want timeout", u.Result)
			}
		}},
		{"stop times out", func(t *testing.T) {
			systemctl(t, h, "start", "stuck@1")
			w.awaitActive("stuck@1.service")
			systemctl(t, h, "stop", "stuck@1") // "done", though it was killed
			u := w.awaitUnit("stuck@1.service", "failed", func(u Status) bool { return u.Active == "failed" })
			if u.Result != "timeout" {
				t.Errorf("Result = %q, want timeout", u.Result)
			}
		}},
		{"restarts again and again", func(t *testing.T) {
			h.Systemctl(t.Context(), "start", "loop@1") // fails, and systemd goes on
			first := w.awaitUnit("loop@1.service", "restarted", func(u Status) bool { return u.Restarts >= 1 })
			w.awaitUnit("loop@1.service", "waiting", func(u Status) bool { return u.Sub == "auto-restart" })
			last := w.awaitUnit("loop@1.service", "restarted more", func(u Status) bool { return u.Restarts >= first.Restarts+2 })
			if last.Invocation == first.Invocation {
				t.Errorf("same activation: %s, %s", brief(first), brief(last))
			}
			systemctl(t, h, "stop", "loop@1")
			w.awaitUnit("loop@1.service", "stopped", Status.isEnded)
		}},
		{"automatic restart", func(t *testing.T) {
			systemctl(t, h, "start", "auto@1")
			before := w.awaitActive("auto@1.service")
			if err := h.Kill9(t.Context(), "auto@1.service"); err != nil {
				t.Fatal(err)
			}
			after := w.awaitUnit("auto@1.service", "active again", func(u Status) bool {
				return u.Active == "active" && u.Invocation != before.Invocation
			})
			if after.Restarts != 1 || after.MainPID == before.MainPID || after.ControlGroup != before.ControlGroup {
				t.Errorf("from %s to %s", brief(before), brief(after))
			}
		}},
		{"stop job", func(t *testing.T) {
			systemctl(t, h, "start", "linger@1")
			up := w.awaitActive("linger@1.service")
			systemctl(t, h, "stop", "--no-block", "linger@1")
			u := w.awaitUnit("linger@1.service", "with a stop job", func(u Status) bool { return u.Job == "stop" })
			if u.ended() || u.Invocation != up.Invocation {
				t.Errorf("seen too late: %s", brief(u))
			}
			w.awaitGone("linger@1.service")
		}},
		{"restart job", func(t *testing.T) {
			systemctl(t, h, "start", "linger@2")
			up := w.awaitActive("linger@2.service")
			systemctl(t, h, "restart", "--no-block", "linger@2")
			u := w.awaitUnit("linger@2.service", "with a restart job", func(u Status) bool { return u.Job == "restart" })
			if u.ended() || u.Invocation != up.Invocation {
				t.Errorf("seen too late: %s", brief(u))
			}
			w.awaitUnit("linger@2.service", "active again", func(u Status) bool {
				return u.Active == "active" && u.Invocation != up.Invocation && u.Job == ""
			})
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			from := len(w.seen)
			w.t = t
			test.run(t)
			if t.Failed() {
				t.Log(w.historyFrom(from, ""))
			}
		})
	}
	w.t = t
}

func (s Status) isEnded() bool { return s.ended() }

// openGate lets an app that was started with -gate get ready.
func openGate(t *testing.T, h *host.Host, unit string) {
	t.Helper()
	sh(t, h, "until [ -p /run/"+unit+".gate ]; do sleep 0.01; done; echo >/run/"+unit+".gate")
}

func TestWatchManyAtOnce(t *testing.T) {
	t.Parallel()
	const n = 50
	h := boot(t, map[string]string{
		"many@.service":  template("Type=notify", "ExecStart=/app"),
		"other@.service": "[Service]\nExecStart=/bin/sleep 1000\n",
	})
	w := watch(t, h)
	args := []string{"start"}
	for i := range n {
		args = append(args, fmt.Sprintf("many@%d.service", i), fmt.Sprintf("other@%d.service", i%10))
	}
	systemctl(t, h, args...)
	for i := range n {
		name := fmt.Sprintf("many@%d.service", i)
		got := w.awaitUnit(name, "active", func(u Status) bool { return u.Active == "active" && u.Job == "" })
		if want := "/system.slice/system-many.slice/" + name; got.ControlGroup != want || got.MainPID == 0 || len(got.Files) != 1 {
			t.Errorf("%+v", got)
		}
	}
	w.settle()
	if got := w.names(); len(got) != n {
		t.Errorf("%d units, want %d: %v", len(got), n, got)
	}

	systemctl(t, h, append([]string{"stop"}, args[1:]...)...)
	for i := range n {
		w.awaitGone(fmt.Sprintf("many@%d.service", i))
	}
	for _, e := range w.seen {
		if strings.HasPrefix(e.Unit.Name, "other@") {
			t.Fatalf("a unit without the section is reported: %s", brief(e.Unit))
		}
	}
}

// A reader that does not take events gets the latest state when it does.
func TestWatchSlowReader(t *testing.T) {
	t.Parallel()
	h := boot(t, map[string]string{"web@.service": template("Type=notify", "ExecStart=/app")})
	w := watchInto(t, h, make(chan Event))
	for range 5 {
		systemctl(t, h, "restart", "web@1")
	}
	systemctl(t, h, "start", "web@2")
	systemctl(t, h, "stop", "web@2")
	want := shown(t, h, "web@1.service")
	w.awaitUnit("web@1.service", "as it is now", func(u Status) bool {
		return u.Invocation == want.Invocation && u.Active == "active" && u.Job == ""
	})
	w.settle()
	if got := len(w.seen); got > 12 {
		t.Errorf("%d events after the reader woke up:\n%s", got, w.history(""))
	}
	w.awaitGone("web@2.service") // or it has never been reported
}

// To look at a unit that is not loaded makes systemd load it, which it
// announces; a watcher that read it then would make it do so again.
func TestWatchMakesNoNoise(t *testing.T) {
	t.Parallel()
	h := boot(t, map[string]string{"web@.service": template("Type=notify", "ExecStart=/app")})
	w := watch(t, h)
	c := newClient(t, h, nil)
	b, err := c.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	signals := make(chan *dbus.Signal, 1000)
	b.conn.Signal(signals)
	if err := b.match(t.Context(), "interface='"+managerIface+"',member='UnitNew'"); err != nil {
		t.Fatal(err)
	}
	systemctl(t, h, "start", "web@1")
	w.awaitActive("web@1.service")
	systemctl(t, h, "stop", "web@1") // looks at it again itself
	w.awaitGone("web@1.service")
	h.Systemctl(t.Context(), "status", "web@2") // 3: not loaded
	if _, err := w.Status(t.Context(), "web@3.service"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	count := map[string]int{}
	for len(signals) > 0 {
		if s := <-signals; s.Name == managerIface+".UnitNew" {
			count[s.Body[0].(string)]++
		}
	}
	if count["web@1.service"] > 6 || count["web@2.service"] > 2 || count["web@3.service"] != 0 {
		t.Errorf("systemd has loaded units this often: %v", count)
	}
}

// Every user of the bus may send a signal to a connection: it must be
// systemd's own to be believed.
func TestWatchForgedSignal(t *testing.T) {
	t.Parallel()
	h := boot(t, map[string]string{"web@.service": template("Type=notify", "ExecStart=/app")})
	w := watch(t, h)
	systemctl(t, h, "start", "web@1")
	w.awaitUnit("web@1.service", "active", func(u Status) bool { return u.Active == "active" && u.Job == "" })
	w.settle()
	from := len(w.seen)
	// One for each name on the bus, which finds the watcher's without being told.
	sh(t, h, `for name in $(busctl list --unique --no-legend | cut -d' ' -f1); do
		runuser -u nobody -- dbus-send --system --type=signal --dest=$name \
			`+string(pathOf("web@1.service"))+` org.freedesktop.DBus.Properties.PropertiesChanged \
			string:org.freedesktop.systemd1.Unit dict:string:variant: array:string: || :
		runuser -u nobody -- busctl emit --destination=$name \
			`+string(pathOf("web@1.service"))+` org.freedesktop.DBus.Properties PropertiesChanged 'sa{sv}as' \
			org.freedesktop.systemd1.Unit 2 ActiveState s inactive SubState s dead 0
		runuser -u nobody -- busctl emit --destination=$name /org/freedesktop/systemd1 `+managerIface+` UnitRemoved so web@1.service `+string(pathOf("web@1.service"))+`
		runuser -u nobody -- busctl emit --destination=$name /org/freedesktop/systemd1 `+managerIface+` Reloading b false
	done`)
	w.settle()
	if len(w.seen) != from {
		t.Errorf("events:\n%s", w.history(""))
	}
	systemctl(t, h, "stop", "web@1")
	w.awaitGone("web@1.service")
}
