// Package run proves what `switcheroo run` and the examples promise, on real
// servers, with clients at work.
package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

func TestMain(m *testing.M) { os.Exit(host.Main(m)) }

// The addresses of the place under test and of the one that dials it.
const (
	server4 = "10.9.0.1"
	server6 = "fd00:9::1"
	client4 = "10.9.0.2"
	client6 = "fd00:9::2"
)

// stage is a place in which servers run, and another that dials them.
type stage struct {
	testing.TB
	server     *host.Client // without systemd; nil if there is a machine
	machine    *host.Host   // with systemd
	client     *host.Client
	switcheroo string
	swload     string
	dir        string // of servers' files
}

// set opens a stage without systemd.

func set(t testing.TB) *stage {
	t.Helper()
	network := host.StartNetwork(t)
	s := &stage{
		TB:         t,
		server:     network.StartClient(t, server4+"/24", server6+"/64"),
		client:     network.StartClient(t, client4+"/24", client6+"/64"),
		switcheroo: host.Build(t, "github.com/switcheroo/switcheroo/cmd/switcheroo"),
		swload:     host.Build(t, "github.com/switcheroo/switcheroo/test/load/cmd/swload"),
		dir:        t.TempDir(),
	}
	// The machine's own is not to be touched.
	if _, err := s.server.Run(t.Context(), "mount", "-t", "tmpfs", "tmpfs", "/run"); err != nil {
		t.Fatal(err)
	}
	return s
}

// file writes a file for servers and returns its path.
func (s *stage) file(name, content string, mode os.FileMode) string {
	s.Helper()
	path := filepath.Join(s.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), mode), os.Chmod(path, mode)); err != nil {
		s.Fatal(err)
	}
	return path
}

// example returns the content of a file of an example.
func example(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// process is a `switcheroo run`.
type process struct {
	s    *stage
	cmd  *host.Cmd
	said *transcript
	done chan struct{}
}

// run starts `switcheroo run` with these arguments.
func (s *stage) run(args ...string) *process {
	s.Helper()
	return s.starts(append([]string{s.switcheroo, "run"}, args...)...)
}

// starts starts a program in the place under test.
func (s *stage) starts(args ...string) *process {
	s.Helper()
	p := &process{s: s, cmd: s.server.Cmd(s.Context(), args...), said: newTranscript(), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	if err := p.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.cmd.Wait()
		p.said.close()
	}()
	s.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		if s.Failed() {
			s.Logf("%s:\n%s", strings.Join(args, " "), p.said)
		}
	})
	return p
}

// says waits until the process has printed a line with all of words.
func (p *process) says(words ...string) {
	p.s.Helper()
	if err := p.said.wait(p.s.Context(), words); err != nil {
		p.s.Fatalf("%v says no line with %q (%v):\n%s", p.cmd.Args, words, err, p.said)
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.s.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.s.Fatal(err)
	}
}

// exits waits for the process's end and wants this status.
func (p *process) exits(want int) {
	p.s.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.s.Fatalf("%v still runs:\n%s", p.cmd.Args, p.said)
	}
	if got := exitStatus(p.cmd.Cmd); got != want {
		p.s.Fatalf("%v: exit status %d, want %d:\n%s", p.cmd.Args, got, want, p.said)
	}
}

// exitStatus returns what a shell would show.
func exitStatus(cmd *exec.Cmd) int {
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// patience is how long something may take that takes well under a second on
// an idle machine, or as long as an option of the test's says.
const patience = 30 * time.Second

// tick is between two looks at a condition.
const tick = 10 * time.Millisecond

// eventually waits until check returns nil.
func (s *stage) eventually(what string, check func() error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("not within %s: %s: %v", patience, what, err)
		case <-time.After(tick):
		}
	}
}

// answers returns the version that answers a new connection to port, from
// another host and from the server's own, or else the classes of failure.
func (s *stage) answers(port string) (fromClient, fromServer string) {
	s.Helper()
	ask := func(from *host.Client, addr string) string {
		out, err := from.Run(s.Context(), s.swload, "once", "-timeout=3s", addr)
		if err == nil {
			return strings.TrimSpace(out)
		}
		for _, class := range load.Classes {
			if strings.Contains(err.Error(), ": "+string(class)+" in ") {
				return string(class)
			}
		}
		return err.Error()
	}
	return ask(s.client, server4+":"+port), ask(s.server, "127.0.0.1:"+port)
}

// served wants both to be answered by version, at once.
func (s *stage) served(port, version string) {
	s.Helper()
	if c, l := s.answers(port); c != version || l != version {
		s.Fatalf("port %s: %q answers another host, %q this one, want %q", port, c, l, version)
	}
}

// targets are the addresses at which the public port is dialled.
func targets(port string) (fromClient, fromServer []string) {
	return []string{server4 + ":" + port, "[" + server6 + "]:" + port},
		[]string{"127.0.0.1:" + port, server4 + ":" + port, "[::1]:" + port}
}

// load runs clients in both places until the returned function is called,
// which returns what they saw together.
func (s *stage) load(port string, c load.Config) func() *load.Result {
	s.Helper()
	network, local := targets(port)
	server, swload := load.Guest(s.server), s.swload
	if s.machine != nil {
		server, swload = s.machine, inside
	}
	var remotes []*load.Remote
	for _, at := range []struct {
		guest   load.Guest
		swload  string
		targets []string
	}{{s.client, s.swload, network}, {server, swload, local}} {
		c.Targets, c.Duration = at.targets, 5*time.Minute
		r, err := load.Start(s.Context(), at.guest, at.swload, c, nil)
		if err != nil {
			s.Fatal(err)
		}
		remotes = append(remotes, r)
	}
	for _, r := range remotes {
		if err := r.Running(s.Context()); err != nil {
			s.Fatal(err)
		}
	}
	return func() *load.Result {
		s.Helper()
		var sum load.Result
		for _, r := range remotes {
			result, err := r.Stop()
			if err != nil {
				s.Fatal(err)
			}
			if err := result.Valid(); err != nil {
				s.Error(err)
			}
			sum.Merge(result)
		}
		return &sum
	}
}

// nothingLost wants no failure, and answers from all of versions.
func (s *stage) nothingLost(r *load.Result, versions ...string) {
	s.Helper()
	total := r.Total()
	s.Logf("%d connections, %d requests, answers %v, %d failed", total.Connections, total.Requests, total.Versions, total.Failed())
	if n := r.Failed(); n > 0 {
		for _, f := range r.Failures[:min(len(r.Failures), 10)] {
			s.Log(f)
		}
		s.Errorf("%d of %d connections failed: %v", n, total.Connections, total.Failures)
	}
	for _, v := range versions {
		if total.Versions[v] == 0 {
			s.Errorf("no answer from %s: %v", v, total.Versions)
		}
	}
	if len(total.Versions) != len(versions) {
		s.Errorf("answers from %v, want them from %v only", total.Versions, versions)
	}
}

// noRules wants no rule of ours to be left.
func (s *stage) noRules() {
	s.Helper()
	for _, command := range []string{"iptables-save", "ip6tables-save"} {
		out, err := s.server.Run(s.Context(), command, "-t", "nat")
		if err != nil {
			s.Fatal(err)
		}
		if strings.Contains(out, "DNAT") || strings.Contains(out, "SW-") {
			s.Errorf("%s: rules are left:\n%s", command, out)
		}
	}
}

// hold opens a connection from another host, on which the returned function
// makes a request and wants version to answer.
func (s *stage) hold(addr string) (says func(version string), end func()) {
	s.Helper()
	cmd := s.client.Cmd(s.Context(), s.swload, "hold", "-timeout=5s", addr)
	in, err := cmd.StdinPipe()
	if err != nil {
		s.Fatal(err)
	}
	out := newTranscript()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	if err := out.wait(s.Context(), []string{":"}); err != nil { // its own address: it is connected
		s.Fatal(err)
	}
	asked := 0
	return func(version string) {
			s.Helper()
			asked++
			if _, err := fmt.Fprintln(in); err != nil {
				s.Fatal(err)
			}
			if err := out.waitCount(s.Context(), version, asked); err != nil {
				s.Fatalf("held connection: no answer from %s (%v):\n%s", version, err, out)
			}
		}, func() {
			in.Close()
			cmd.Wait()
		}
}
