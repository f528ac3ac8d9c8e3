package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/switcheroo/switcheroo/test/host"
)

func TestMain(m *testing.M) { os.Exit(host.Main(m)) }

// program prepares the demo to run as a program that leaves nothing but what
// is in the directory that it returns.
func program(t *testing.T, args ...string) (cmd *exec.Cmd, dir string) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), host.Build(t, "."), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	return cmd, dir
}

// daemon is the argument with the switcherood of this checkout.
func daemon(t *testing.T) string {
	return "--daemon=" + host.Build(t, "github.com/switcheroo/switcheroo/cmd/switcherood")
}

func status(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

func TestDemo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: the demo only says so; see TestNotRoot")
	}
	t.Parallel()
	cmd, dir := program(t, "--json", daemon(t))
	var story, out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &story
	began := time.Now()
	if got := status(t, cmd.Run()); got != 0 {
		t.Fatalf("exit status %d, want 0\n%s%s", got, &story, &out)
	}
	t.Logf("took %v", time.Since(began).Round(time.Millisecond))
	defer func() {
		if t.Failed() {
			t.Logf("it told:\n%s%s", &story, &out)
		}
	}()

	unit, err := os.ReadFile("../../examples/myapp@.service")
	if err != nil {
		t.Fatal(err)
	}
	rest := story.String()
	for _, want := range []string{
		`root@web1:~# cat /etc/systemd/system/myapp@\.service\n` + regexp.QuoteMeta(indented(string(unit))),
		`StandbySec=3s\n`,
		`# systemctl start myapp@v1\n`,
		`v1 says that it is ready`,
		`port 443 now leads to v1\n`,
		`# systemctl start myapp@v2\n`,
		`v2 says that it is ready`,
		`port 443 now leads to v2; open connections stay with v1`,
		`its stream, begun before, still comes from v1`,
		`answers: v1 [0-9,]+, v2 [0-9,]+; failed: 0\n`,
		`its stream is complete: 9 s, every byte right, from v1`,
		`asks systemd to stop v1`,
		`v1 has stopped`,
		`# systemctl start myapp@v3\n`,
		`v3 is not ready in time`,
		`v3 never got ready: v2 keeps the port`,
		`Job for myapp@v3\.service failed`,
		`: v2 answers`,
		`# systemctl start myapp@v4\n`,
		`port 443 now leads to v4; open connections stay with v2`,
		`v4 has died, with exit status 1`,
		`port 443 leads to v2 again`,
		`: v2 answers`,
		`What the clients saw\n`,
		`\n  refused +0 +0 +0 +0\n`,
		`v4's own: [0-9,]+ connections`,
		`switch to v2 +[0-9.]+ m?s`,
		`drain of v1 +[0-9.]+ m?s`,
		`switch back to v2 +[0-9.]+ m?s`,
		`Nothing was lost: [0-9,]+ connections`,
	} {
		at := regexp.MustCompile(want).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("nothing like %q in, or not in this order:\n%s", want, rest)
		}
		rest = rest[at[1]:]
	}
	for line := range strings.Lines(story.String()) {
		if strings.Contains(line, "\x1b") {
			t.Errorf("there is colour in a file: %q", line)
		}
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("a line of %d characters: %s", n, line)
		}
	}

	var r result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, &out)
	}
	if !r.OK || r.Connections < 1000 || r.Requests < r.Connections || r.Switch <= 0 || r.Drain <= r.Switch || r.BackAfter <= 0 {
		t.Errorf("the result is %+v", r)
	}
	left(t, cmd, dir)
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight("    "+line, " \n") + "\n")
	}
	return b.String()
}

func TestInterrupted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: the demo only says so; see TestNotRoot")
	}
	t.Parallel()
	cmd, dir := program(t, daemon(t))
	told := &watched{text: "port 443 now leads to v1", seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = told, told
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-told.seen:
		cmd.Process.Signal(os.Interrupt)
	case err := <-ended:
		t.Fatalf("it ended by itself: %v\n%s", err, &told.all)
	}
	if got := status(t, <-ended); got != 130 {
		t.Errorf("exit status %d, want 130\n%s", got, &told.all)
	}
	if want := "demo: ended by interrupt; nothing of it is left\n"; !strings.HasSuffix(told.all.String(), want) {
		t.Errorf("it does not end with %q:\n%s", want, &told.all)
	}
	left(t, cmd, dir)
}

// watched is output that something is waited for in.
type watched struct {
	text string
	seen chan struct{}
	all  bytes.Buffer
	once bool
}

func (w *watched) Write(b []byte) (int, error) {
	w.all.Write(b)
	if !w.once && strings.Contains(w.all.String(), w.text) {
		w.once = true
		close(w.seen)
	}
	return len(b), nil
}

// left fails the test if a demo that has ended left something on the machine.
func left(t *testing.T, cmd *exec.Cmd, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("it left %s", filepath.Join(dir, e.Name()))
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 2 && strings.HasPrefix(f[1], dir) {
			t.Errorf("it left a mount: %s", line)
		}
		if len(f) > 2 && f[2] == "cgroup2" {
			groups, err := filepath.Glob(filepath.Join(f[1], fmt.Sprintf("switcheroo-host-%d-*", cmd.Process.Pid)))
			if err != nil || len(groups) > 0 {
				t.Errorf("it left %v (%v)", groups, err)
			}
		}
	}
}

// Anybody who is not root is told so, and what to do.
func TestNotRoot(t *testing.T) {
	t.Parallel()
	cmd, _ := program(t)
	if os.Geteuid() == 0 {
		const nobody = 65534
		cmd.Path, cmd.Env = shared(t, cmd.Path), os.Environ()
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	cannotRun(t, cmd, "demo: error: booting a host needs root", "demo: hint: run it with sudo")
}

// shared copies a program to where everybody may run it.
func shared(t *testing.T, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "switcheroo-demo-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "demo")
	if err := errors.Join(os.WriteFile(copied, b, 0o755), os.Chmod(copied, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return copied
}

func TestNoNetfilter(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: that is what the demo says first; see TestNotRoot")
	}
	t.Parallel()
	for _, test := range []struct{ name, iptables, wrong, hint string }{
		{"no iptables", "exit 127", "demo: error: iptables is not installed", "demo: hint: apt-get install iptables"},
		{"no NAT", `[ "$1" = --version ] || { echo "can't initialize iptables table" >&2; exit 3; }`,
			"demo: error: this kernel has no netfilter NAT that iptables can use (can't initialize iptables table)", "demo: hint: on the host, try: modprobe"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd, dir := program(t)
			bin := t.TempDir()
			if err := os.WriteFile(filepath.Join(bin, "iptables"), []byte("#!/bin/sh\n"+test.iptables+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			cmd.Env = append(cmd.Env, "PATH="+bin+":"+os.Getenv("PATH"))
			cannotRun(t, cmd, test.wrong, test.hint)
			left(t, cmd, dir)
		})
	}
}

func cannotRun(t *testing.T, cmd *exec.Cmd, wrong, hint string) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if got := status(t, err); got != 1 {
		t.Errorf("exit status %d, want 1", got)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], wrong) || !strings.HasPrefix(lines[1], hint) {
		t.Errorf("it says\n%s\nwant\n%s...\n%s...", out, wrong, hint)
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		name   string
		args   []string
		status int
		stdout string
		stderr string
	}{
		{"help", []string{"--help"}, 0, usage, ""},
		{"h", []string{"-h"}, 0, usage, ""},
		{"unknown option", []string{"--fast"}, 2, "", "demo: error: flag provided but not defined: -fast\ndemo: hint: demo --help lists what it takes\n"},
		{"argument", []string{"v2"}, 2, "", "demo: error: unexpected argument \"v2\"\ndemo: hint: demo --help lists what it takes\n"},
		{"no such daemon", []string{"--daemon", "/proc/nonexistent"}, 2, "",
			"demo: error: --daemon: stat /proc/nonexistent: no such file or directory\ndemo: hint: demo --help lists what it takes\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			if got := run(test.args, &stdout, &stderr); got != test.status {
				t.Errorf("exit status %d, want %d", got, test.status)
			}
			if stdout.String() != test.stdout || stderr.String() != test.stderr {
				t.Errorf("it says %q and %q, want %q and %q", stdout.String(), stderr.String(), test.stdout, test.stderr)
			}
		})
	}
}
