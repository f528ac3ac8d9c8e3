package cli

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

var record = flag.Bool("record", false, "put the screen of TestRecording into docs/cli.md")

// shown is the screen in docs/cli.md.
var shown = regexp.MustCompile("(?s)(<!-- screen: status -->\n```\n)(.*?)(```\n)")

// TestRecording watches status while versions are deployed, and holds
// docs/cli.md to what the screen shows at the end: each line but for figures.
func TestRecording(t *testing.T) {
	t.Parallel()
	h := start(t, map[string]string{
		"/etc/systemd/system/myapp@v1.service.d/keys.conf": "[X-Switcheroo]\nStandbySec=0\nDrainSec=30s\n",
		"/etc/systemd/system/myapp@v2.service.d/keys.conf": "[X-Switcheroo]\nStandbySec=0\n",
		"/etc/systemd/system/myapp@v3.service.d/keys.conf": "[X-Switcheroo]\nStandbySec=15s\n",
	})
	r := &recorder{T: t, host: h}
	r.run("switcheroo", "deploy", "-q", "myapp@v1")
	r.clients(3)
	r.tmux("new-session", "-d", "-x", "80", "-y", "24", "env TERM=xterm-256color switcheroo status --watch")
	r.await(`v1 +current +\d+ +3`)
	r.run("switcheroo", "deploy", "-q", "myapp@v2")
	r.clients(2)
	r.await(`drains, `)
	r.run("switcheroo", "deploy", "-q", "myapp@v3")
	r.clients(4)
	r.await(`v3 +current +\d+ +4`)
	screen := r.await(`(?s)v2 +standby +\d+ +2.*kept warm, [5-9]s.*v1 +draining +\d+ +3.*drains, `)
	t.Logf("the screen:\n%s", screen)

	const document = "../../docs/cli.md"
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	m := shown.FindSubmatch(text)
	if m == nil {
		t.Fatal("docs/cli.md shows no screen")
	}
	if *record {
		updated := shown.ReplaceAllString(string(text), "${1}"+strings.ReplaceAll(screen, "$", "$$")+"${3}")
		if err := os.WriteFile(document, []byte(updated), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want, got := figureless(string(m[2])), figureless(screen); want != got {
		t.Errorf("docs/cli.md shows another screen; figures aside it is:\n%s\nand not:\n%s\n(go test ./test/cli -run Recording -record)", got, want)
	}
}

// figures differ from one recording to the next.
var figures = regexp.MustCompile(`\[#*\.*\]|\d+min( \d+s)?|[0-9:.]+m?s?|  +`)

// figureless returns what a screen shows without figures.
func figureless(screen string) string {
	return figures.ReplaceAllStringFunc(screen, func(s string) string {
		if strings.TrimSpace(s) == "" {
			return " "
		}
		return "N"
	})
}

// recorder uses a host as somebody at a terminal would.
type recorder struct {
	*testing.T
	host *host.Host
}

func (r *recorder) run(args ...string) string {
	r.Helper()
	out, err := r.host.Run(r.Context(), args...)
	if err != nil {
		r.Fatal(err)
	}
	return out
}

func (r *recorder) tmux(args ...string) string {
	r.Helper()
	return r.run(append([]string{"tmux", "-f", "/dev/null", "-S", "/run/tmux"}, args...)...)
}

// await returns the screen once it matches.
func (r *recorder) await(pattern string) string {
	r.Helper()
	want := regexp.MustCompile(pattern)
	for end := time.Now().Add(patience); ; time.Sleep(10 * tick) {
		screen := trailing.ReplaceAllString(r.tmux("capture-pane", "-p"), "")
		if screen = strings.TrimRight(screen, "\n") + "\n"; want.MatchString(screen) {
			return screen
		}
		if time.Now().After(end) {
			r.Fatalf("not within %s: %s\n%s", patience, pattern, screen)
		}
	}
}

// clients connects some, for as long as the test runs.
func (r *recorder) clients(n int) {
	r.Helper()
	for range n {
		hold := r.host.Cmd(r.Context(), "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080; echo connected; exec sleep 1000")
		out, err := hold.StdoutPipe()
		if err != nil {
			r.Fatal(err)
		}
		if err := hold.Start(); err != nil {
			r.Fatal(err)
		}
		if _, err := fmt.Fscanln(out, new(string)); err != nil {
			r.Fatalf("connect: %v", err)
		}
	}
}
