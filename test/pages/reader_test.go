package pages

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

// atOnce is how many pages are followed at once: a page waits most of the time,
// for standby and drains.
const atOnce = "6"

func TestMain(m *testing.M) {
	flag.Set("test.parallel", atOnce) // unless the command line says otherwise
	os.Exit(host.Main(m))
}

// The machines of a reader.
const (
	server = "server.example.com" // 10.9.0.1, fd00:9::1
	other  = "laptop.example.com" // 10.9.0.2, fd00:9::2
)

const hosts = `127.0.0.1 localhost
::1 localhost
10.9.0.1 ` + server + `
fd00:9::1 ` + server + `
10.9.0.2 ` + other + `
fd00:9::2 ` + other + `
`

// patience is how long one block, or one command of a console, may take.
const patience = 90 * time.Second

// reader follows one page.
type reader struct {
	*testing.T
	server  *host.Host
	other   *host.Host // nil until it is needed
	network *host.Network
	watches []*watch
}

// setting is what a reader has before a page begins, besides Switcheroo.
type setting struct {
	done string // commands: what is there on a host that is not made for tests
}

// follow does what a page says.
func follow(t *testing.T, page string, s setting) {
	t.Helper()
	steps, err := read(page)
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) == 0 {
		t.Fatalf("%s has nothing to do", page)
	}
	parts := steps[len(steps)-1].part
	if parts == 0 {
		followSteps(t, s, steps)
		return
	}
	for n := 1; n <= parts; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			followSteps(t, s, slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return s.part != 0 && s.part != n }))
		})
	}
}

func followSteps(t *testing.T, s setting, steps []step) {
	t.Helper()
	r := &reader{T: t}
	r.boot(s)
	for _, s := range steps {
		r.step(s)
	}
	for _, w := range r.watches {
		w.end(r)
	}
}

// boot makes the server, with Switcheroo installed and running.
func (r *reader) boot(s setting) {
	r.Helper()
	files := map[string]string{"/etc/hosts": hosts}
	binds := map[string]string{toolchain(): toolchain()}
	for path, from := range map[string]string{
		"/usr/lib/systemd/system/switcherood.service": "packaging/systemd/switcherood.service",
		"/usr/lib/systemd/system/switcherood.socket":  "packaging/systemd/switcherood.socket",
		"/usr/lib/sysusers.d/switcheroo.conf":         "packaging/sysusers.d/switcheroo.conf",
	} {
		b, err := os.ReadFile(filepath.Join("../..", from))
		if err != nil {
			r.Fatal(err)
		}
		files[path] = string(b)
	}
	binds["/usr/sbin/switcherood"] = host.Build(r, "github.com/switcheroo/switcheroo/cmd/switcherood")
	binds["/usr/bin/switcheroo"] = host.Build(r, "github.com/switcheroo/switcheroo/cmd/switcheroo")
	r.server = host.Start(r, host.Options{Name: strings.Split(server, ".")[0], Files: files, Binds: binds})
	r.network = host.StartNetwork(r)
	if err := r.network.Join(r.Context(), r.server, "10.9.0.1/24", "fd00:9::1/64"); err != nil {
		r.Fatal(err)
	}
	if out, err := r.server.Run(r.Context(), "sh", "-ec", "systemd-sysusers; systemctl enable --now switcherood.socket switcherood"); err != nil {
		r.Fatalf("%v\n%s", err, out)
	}
	if s.done != "" {
		if out, status, err := r.run(r.server, "set -e\n"+s.done); err != nil || status != 0 {
			r.Fatalf("status %d, %v\n%s", status, err, out)
		}
	}
}

// toolchain is where Go is.
var toolchain = sync.OnceValue(func() string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		panic(fmt.Sprintf("go env GOROOT: %v", err))
	}
	return strings.TrimSpace(string(out))
})

// machine is where a step is done.
func (r *reader) machine(s step) *host.Host {
	r.Helper()
	if !s.elsewhere {
		return r.server
	}
	if r.other == nil {
		r.other = host.Start(r, host.Options{Name: strings.Split(other, ".")[0], Files: map[string]string{"/etc/hosts": hosts}})
		if err := r.network.Join(r.Context(), r.other, "10.9.0.2/24", "fd00:9::2/64"); err != nil {
			r.Fatal(err)
		}
	}
	return r.other
}

// step does one step; if it goes wrong, those behind it make no sense.
func (r *reader) step(s step) {
	r.Helper()
	m := r.machine(s)
	switch {
	case s.kind == file:
		if err := m.WriteFile(s.path, s.text); err != nil {
			r.Fatalf("%s: %v", s.at, err)
		}
		// An editor makes no file executable; the page has to.
		if out, err := m.Run(r.Context(), "chmod", "0644", s.path); err != nil {
			r.Fatalf("%s: %v\n%s", s.at, err, out)
		}
	case s.meanwhile:
		r.watches = append(r.watches, r.watch(m, s))
	case s.kind == commands:
		out, status, err := r.run(m, "set -e\n"+s.text)
		if err != nil || status != s.status {
			r.Fatalf("%s: status %d, %v\n%s\n%s", s.at, status, err, s.text, out)
		}
		r.Logf("%s:\n%s%s", s.at, s.text, out)
		if s.copied != "" {
			if err := r.server.WriteFile(s.copied, out); err != nil {
				r.Fatalf("%s: %v", s.at, err)
			}
		}
	default:
		for i, x := range s.console {
			out, status, err := r.run(m, x.command)
			want := 0
			if i == len(s.console)-1 {
				want = s.status
			}
			if err != nil || status != want || !alike(x.output, out) {
				r.Fatalf("%s: $ %s\nstatus %d, want %d, %v; it prints\n%s\nand not in the shape of\n%s", x.at, x.command, status, want, err, out, x.output)
			}
		}
	}
}

// run has a shell on m do what text says. The error is not about what it says.
func (r *reader) run(m *host.Host, text string) (out string, status int, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	b, err := shell(ctx, m, text).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return string(b), -1, context.Cause(ctx)
	case errors.As(err, &exit):
		return string(b), exit.ExitCode(), nil
	}
	return string(b), 0, err
}

// shell prepares a shell in root's home.
func shell(ctx context.Context, m *host.Host, text string) *host.Cmd {
	return m.Cmd(ctx, "bash", "-o", "pipefail", "-c", "PATH=$PATH:"+toolchain()+"/bin\ncd\n"+text)
}

// watch is what runs in another terminal.
type watch struct {
	at     string
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	out    syncBuffer
}

func (r *reader) watch(m *host.Host, s step) *watch {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	w := &watch{at: s.at, cancel: cancel, done: make(chan struct{})}
	cmd := shell(ctx, m, s.text)
	cmd.Stdout, cmd.Stderr = &w.out, &w.out
	if err := cmd.Start(); err != nil {
		r.Fatalf("%s: %v", s.at, err)
	}
	go func() {
		defer close(w.done)
		w.err = cmd.Wait()
	}()
	r.Cleanup(func() { cancel(); <-w.done })
	return w
}

// end is the end of the page.
func (w *watch) end(r *reader) {
	r.Helper()
	select {
	case <-w.done:
		r.Errorf("%s: it ended too early: %v\n%s", w.at, w.err, &w.out)
	default:
	}
	w.cancel()
	<-w.done
	r.Logf("%s:\n%s", w.at, lastLines(w.out.String(), 5))
}

func lastLines(text string, n int) string {
	all := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-n):], "")
}

// syncBuffer may be read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
