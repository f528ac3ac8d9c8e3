package e2e

import (
	"bufio"
	"context"
	"io"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

// inside is where swload is on the host under test.
const inside = "/opt/myapp/load"

// fromClient makes one request from another host and returns which version
// answered, or else the class of the failure.
func (s *stage) fromClient(addr string) string {
	out, err := s.client.Run(s.Context(), s.swload, "once", "-timeout=3s", addr)
	return answer(out, err)
}

// fromHost does it on the host itself.
func (s *stage) fromHost(addr string) string {
	out, err := s.host.Run(s.Context(), inside, "once", "-timeout=3s", addr)
	return answer(out, err)
}

func answer(out string, err error) string {
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

// holder keeps one connection open.
type holder struct {
	s   *stage
	cmd *host.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// hold connects to addr from another host.
func (s *stage) hold(addr string) *holder {
	s.Helper()
	return s.held(addr, s.client.Cmd(s.Context(), s.swload, "hold", "-timeout=5s", addr))
}

// holdWithin connects to addr from the host itself.
func (s *stage) holdWithin(addr string) *holder {
	s.Helper()
	return s.held(addr, s.host.Cmd(s.Context(), inside, "hold", "-timeout=5s", addr))
}

// held starts cmd, which connects to addr.
func (s *stage) held(addr string, cmd *host.Cmd) *holder {
	s.Helper()
	h := &holder{s: s, cmd: cmd}
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		s.Fatal(err)
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	h.out = bufio.NewReader(out)
	if err := h.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	if _, err := h.out.ReadString('\n'); err != nil { // its own address: it is connected
		s.Fatalf("hold %s: %v", addr, err)
	}
	return h
}

// says makes a request on the connection, which version has to answer.
func (h *holder) says(version string) {
	h.s.Helper()
	if _, err := io.WriteString(h.in, "\n"); err != nil {
		h.s.Fatal(err)
	}
	got, err := h.out.ReadString('\n')
	if err != nil {
		h.s.Fatalf("held connection: %v", err)
	}
	if got = strings.TrimSpace(got); got != version {
		h.s.Fatalf("held connection: %q answers, want %q", got, version)
	}
}

// close closes the connection.
func (h *holder) close() {
	h.s.Helper()
	h.in.Close()
	if err := h.cmd.Wait(); err != nil {
		h.s.Errorf("held connection: %v", err)
	}
}

// squat runs a server that is nobody's instance on addr, until the returned
// function is called.
func (s *stage) squat(addr string) func() {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	cmd := s.host.Cmd(ctx, "/opt/myapp/server", "-version=squatter", "-listen="+addr, "-notify=false")
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		s.Fatalf("squatter: %q, %v", line, err)
	}
	return func() {
		cancel()
		cmd.Wait()
	}
}

// load runs clients in both places until the returned function is called,
// which returns what they saw together. That a connect is slow says more about
// the machine than about a switch, so it is no failure here.
func (s *stage) load(c load.Config, hostTargets, clientTargets []string) func() *load.Result {
	s.Helper()
	c.SlowConnect = -1
	var remotes []*load.Remote
	for _, at := range []struct {
		guest   load.Guest
		binary  string
		targets []string
	}{{s.host, inside, hostTargets}, {s.client, s.swload, clientTargets}} {
		if len(at.targets) == 0 {
			continue
		}
		c.Targets = at.targets
		r, err := load.Start(s.Context(), at.guest, at.binary, c, nil)
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

// tick is between two looks at a condition.
const tick = 10 * time.Millisecond
