// Package doctor proves that "switcheroo doctor" finds what it says it does: each
// ailment is provoked on a host with a real systemd, kernel and daemon.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/test/host"
)

// TestMain is also the program that TestConntrackTable runs on a host.
func TestMain(m *testing.M) {
	n, err := strconv.Atoi(os.Getenv(fillEnv))
	if err != nil {
		os.Exit(host.Main(m))
	}
	if err := fill(n); err != nil {
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(1)
	}
}

// template is the unit that is deployed.
const template = `[Unit]
Wants=switcherood.service
After=switcherood.service

[Service]
Type=notify
DynamicUser=yes
Environment=ARGS=
ExecStart=/opt/myapp/server -version %i $ARGS

[X-Switcheroo]
Listen=8080
StandbySec=1
`

// patience is how long something may take that takes well under a second on an
// idle machine.
const patience = 60 * time.Second

// stage is a host with the daemon running.
type stage struct {
	testing.TB
	*host.Host
}

// inside is where this test's own program is on a host.
const inside = "/opt/test/doctor"

// open boots a host; files are there before it does, and prepare, if any, is run
// before the daemon is started.
func open(t testing.TB, files map[string]string, prepare string) *stage {
	t.Helper()
	all := map[string]string{
		"/etc/systemd/system/switcherood.service": packaged(t, "packaging/systemd/switcherood.service"),
		"/etc/systemd/system/switcherood.socket":  packaged(t, "packaging/systemd/switcherood.socket"),
		"/etc/systemd/system/myapp@.service":      template,
	}
	maps.Copy(all, files)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t, host.Start(t, host.Options{Files: all, Binds: map[string]string{
		"/usr/sbin/switcherood": host.Build(t, "github.com/switcheroo/switcheroo/cmd/switcherood"),
		"/usr/bin/switcheroo":   host.Build(t, "github.com/switcheroo/switcheroo/cmd/switcheroo"),
		"/opt/myapp/server":     host.Build(t, "github.com/switcheroo/switcheroo/test/server"),
		inside:                  self,
	}})}
	if prepare != "" {
		s.do(prepare)
	}
	s.do("systemctl start switcherood")
	return s
}

func packaged(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// do runs a command line on the host.
func (s *stage) do(line string) string {
	s.Helper()
	out, err := s.Run(s.Context(), "sh", "-c", line)
	if err != nil {
		s.Fatalf("%s: %v", line, err)
	}
	return out
}

// diagnosis is what the doctor says now, and its exit status.
func (s *stage) diagnosis() (api.Diagnosis, string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	out, err := s.Run(ctx, "sh", "-c", "switcheroo doctor --json=short; echo $?")
	if err != nil {
		s.Fatal(err)
	}
	value, status, _ := strings.Cut(strings.TrimSpace(out), "\n")
	var d api.Diagnosis
	if err := json.Unmarshal([]byte(value), &d); err != nil {
		s.Fatalf("%v: %s", err, out)
	}
	return d, status
}

// quiet wants the doctor to find nothing, and to know everything.
func (s *stage) quiet() {
	s.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		d, status := s.diagnosis()
		if wrong := differs(d, nil); wrong == "" && status == "0" {
			return
		} else if time.Now().After(end) {
			s.Fatalf("exit status %s, %s: %+v", status, wrong, d)
		}
	}
}

// want is an ailment, of which each text is a part.
type want struct {
	severity                      api.Severity
	check, where, message, remedy string
}

// finds wants the doctor to find exactly these.
func (s *stage) finds(wants ...want) api.Diagnosis {
	s.Helper()
	// What is provoked may take the daemon a moment to see.
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		d, status := s.diagnosis()
		if wrong := differs(d, wants); wrong == "" && status == "11" {
			return d
		} else if time.Now().After(end) {
			s.Fatalf("exit status %s, %s: %+v", status, wrong, d)
		}
	}
}

// differs says what is missing in d, or too much.
func differs(d api.Diagnosis, wants []want) string {
	found := map[string]bool{}
	for _, w := range wants {
		found[w.check] = true
		ok := false
		for _, a := range d.Ailments {
			ok = ok || a.Check == w.check && a.Severity == w.severity && strings.Contains(a.Where, w.where) &&
				strings.Contains(a.Message, w.message) && strings.Contains(a.Remedy, w.remedy)
		}
		if !ok {
			return "no " + w.check + ": " + w.message
		}
	}
	for _, a := range d.Ailments {
		if !found[a.Check] {
			return "unexpected " + a.Check
		}
		if a.Where == "" || a.Message == "" || a.Remedy == "" {
			return "incomplete " + a.Check
		}
	}
	for _, e := range d.Checks {
		// Without the daemon some are not known.
		if found[e.Check] != (e.Result == api.Ill) || e.Result == api.Unknown && !found["daemon"] {
			return e.Check + " is " + e.Result + " " + e.Reason
		}
	}
	return ""
}
