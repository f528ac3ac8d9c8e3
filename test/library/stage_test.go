// Package library proves what the library promises, with programs that use it,
// on a host of their own, and clients on another.
package library

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

func TestMain(m *testing.M) { os.Exit(host.Main(m)) }

const (
	server4 = "10.9.0.1"
	server6 = "fd00:9::1"
)

// stage is a place where the programs run, and one from which they are dialled.
type stage struct {
	testing.TB
	server, client         *host.Client
	app, original, swload_ string
}

var backends = []string{"nft", "legacy"}

// each runs a test with both iptables.
func each(t *testing.T, f func(s *stage)) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) { f(set(t, backend)) })
	}
}

func set(t testing.TB, backend string) *stage {
	t.Helper()
	network := host.StartNetwork(t)
	s := &stage{
		TB:       t,
		server:   network.StartClient(t, server4+"/24", server6+"/64"),
		client:   network.StartClient(t, "10.9.0.2/24", "fd00:9::2/64"),
		app:      host.Build(t, "./app"),
		original: host.Build(t, "./original"),
		swload_:  host.Build(t, "github.com/switcheroo/switcheroo/test/load/cmd/swload"),
	}
	// Locks and sockets of its own.
	s.do("mount -t tmpfs tmpfs /run; mkdir -m 1777 /run/lock")
	if backend == "legacy" {
		s.do("mount --bind /usr/sbin/xtables-legacy-multi /usr/sbin/xtables-nft-multi")
	}
	return s
}

// do runs a shell command where the programs run.
func (s *stage) do(script string) string {
	s.Helper()
	out, err := s.server.Run(s.Context(), "sh", "-ec", script)
	if err != nil {
		s.Fatal(err)
	}
	return out
}

// program is a running one.
type program struct {
	*stage
	cmd   *host.Cmd
	said  chan string // its words, closed when it ends
	log   *lockedBuffer
	ended chan struct{}
	err   error // once ended
	words []string
}

type lockedBuffer struct {
	sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.String()
}

// start starts a program of the test.
func (s *stage) start(path string, args ...string) *program {
	s.Helper()
	p := &program{stage: s, said: make(chan string, 100), log: &lockedBuffer{}, ended: make(chan struct{})}
	p.cmd = s.server.Cmd(s.Context(), append([]string{path}, args...)...)
	out, in, err := os.Pipe()
	if err != nil {
		s.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = in, p.log
	if err := p.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	in.Close()
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.said <- lines.Text()
		}
		out.Close()
		p.err = p.cmd.Wait()
		close(p.said)
	}()
	s.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.ended
		if s.Failed() {
			s.Logf("%v said:\n%s", args, p.log)
		}
	})
	return p
}

// deploy starts the app and waits until it has the traffic.
func (s *stage) deploy(version string, args ...string) *program {
	s.Helper()
	p := s.start(s.app, append([]string{"-version", version}, args...)...)
	p.says("ready")
	return p
}

const patience = 60 * time.Second

// says waits until the program has said the word, and returns the rest of the
// line.
func (p *program) says(word string) string {
	p.Helper()
	if rest, found := p.within(patience, word); found {
		return rest
	}
	p.signalled(syscall.SIGQUIT) // what is it waiting for?
	p.Fatalf("the program has not said %q within %v, but %q: %s", word, patience, p.words, p.log)
	return ""
}

// signalled sends a signal that is to end the program, if it still runs, and
// gives it time to do so.
func (p *program) signalled(sig syscall.Signal) {
	p.cmd.Process.Signal(sig)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
	}
}

func (p *program) within(d time.Duration, word string) (rest string, found bool) {
	for _, line := range p.words {
		if rest, ok := strings.CutPrefix(line, word); ok {
			return strings.TrimSpace(rest), true
		}
	}
	timeout := time.After(d)
	for {
		select {
		case line, open := <-p.said:
			if !open {
				return "", false
			}
			p.words = append(p.words, line)
			if rest, ok := strings.CutPrefix(line, word); ok {
				return strings.TrimSpace(rest), true
			}
		case <-timeout:
			return "", false
		}
	}
}

// fails waits until the program has ended with an error, and returns what it
// said of it.
func (p *program) fails() string {
	p.Helper()
	p.ends()
	if p.err == nil {
		p.Fatalf("the program has ended well: %s", p.log)
	}
	return p.log.String()
}

func (p *program) ends() {
	p.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.Fatalf("the program does not end: %s", p.log)
	}
}

func (p *program) runs() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *program) signal(sig syscall.Signal) {
	p.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.Fatal(err)
	}
}

// version asks who answers at the address, from the client's place.
func (s *stage) version(addr string) string {
	s.Helper()
	out, err := s.client.Run(s.Context(), "curl", "-gsS", "-m", "10", "http://"+addr+"/version")
	if err != nil {
		return "error: " + strings.TrimSpace(out)
	}
	return strings.TrimSpace(out)
}

// answers checks who answers at every address.
func (s *stage) answers(version string, addrs ...string) {
	s.Helper()
	if len(addrs) == 0 {
		addrs = []string{server4 + ":8080"}
	}
	for _, a := range addrs {
		if got := s.version(a); got != version {
			s.Errorf("%s is answered by %q, want %q", a, got, version)
		}
	}
}

func (s *stage) refused(addr string) {
	s.Helper()
	out, err := s.client.Run(s.Context(), "curl", "-gsS", "-m", "10", "http://"+addr+"/version")
	if err == nil || !strings.Contains(out, "refused") && !strings.Contains(out, "Couldn't connect") {
		s.Errorf("%s is not refused: %s", addr, out)
	}
}

// rules returns table nat of both families, without what iptables always shows.
func (s *stage) rules() string {
	s.Helper()
	var kept []string
	for line := range strings.Lines(s.do("iptables -t nat -S; ip6tables -t nat -S")) {
		if !strings.HasPrefix(line, "-P ") {
			kept = append(kept, strings.TrimSpace(line))
		}
	}
	return strings.Join(kept, "\n")
}

// eventually waits for a condition.
func (s *stage) eventually(what string, ok func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("not within %v: %s\n%s", patience, what, s.rules())
		}
	}
}

// load starts clients on both sides of the network, and returns what ends them.
func (s *stage) load(c load.Config, inside, outside []string) (stop func() *load.Result) {
	s.Helper()
	var all []*load.Remote
	for _, where := range []struct {
		guest   *host.Client
		targets []string
	}{{s.server, inside}, {s.client, outside}} {
		if len(where.targets) == 0 {
			continue
		}
		c := c
		c.Targets = where.targets
		r, err := load.Start(s.Context(), where.guest, s.swload_, c, nil)
		if err != nil {
			s.Fatal(err)
		}
		all = append(all, r)
	}
	for _, r := range all {
		if err := r.Running(s.Context()); err != nil {
			s.Fatal(err)
		}
	}
	return func() *load.Result {
		s.Helper()
		total := &load.Result{}
		for _, r := range all {
			result, err := r.Stop()
			if err != nil {
				s.Fatal(err)
			}
			total.Merge(result)
		}
		if err := total.Valid(); err != nil {
			s.Fatal(err)
		}
		return total
	}
}

// lossless checks a result.
func (s *stage) lossless(what string, r *load.Result) {
	s.Helper()
	var table strings.Builder
	if err := r.Table(&table); err != nil {
		s.Fatal(err)
	}
	s.Logf("%s\n%s", what, table.String())
	if lost := r.Failed(); lost > 0 {
		s.Errorf("%d were lost, the first:", lost)
		for _, f := range r.Failures[:min(10, len(r.Failures))] {
			s.Log(f)
		}
	}
}

func containsAll(text string, words ...string) error {
	i := slices.IndexFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("%q lacks %q", text, words[i])
}
