package iptables

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

func TestRunError(t *testing.T) {
	newNetns(t)
	tests := map[string]struct {
		script string
		want   []string // parts of the error
	}{
		"legacy says no more than the line": {"*nat\n-F NONE\nCOMMIT\n", []string{"iptables-legacy-restore: exit status 1", "line 2 failed", "(-F NONE)"}},
		"bad rule":                          {"*nat\n-A PREROUTING -j NONE\nCOMMIT\n", []string{"exit status 2", "Couldn't load target `NONE'", "(-A PREROUTING -j NONE)"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := run(t.Context(), time.Minute, tt.script, "iptables-legacy-restore", "--noflush", "-w", "5")
			for _, part := range tt.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("got %v, want %q in it", err, part)
				}
			}
		})
	}
}

// TestRunKillsTheGroup: what a command has started goes with it.
func TestRunKillsTheGroup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	child := func() int {
		text, _ := os.ReadFile(file)
		pid, _ := strconv.Atoi(strings.TrimSuffix(string(text), "\n"))
		return pid
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for child() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel(cause)
	}()
	if _, err := run(ctx, time.Minute, "", "sh", "-c", "sleep 60 & echo $! >"+file+"; wait"); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	waitFor(t, "the child to end", func() bool { return ended(child()) })
}

func TestRunTimeout(t *testing.T) {
	if _, err := run(t.Context(), 50*time.Millisecond, "", "sleep", "60"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// ended reports whether a process is no more, but perhaps for its exit status.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestFailedLine(t *testing.T) {
	const script = "*nat\n-F A\n-F B\nCOMMIT\n"
	for stderr, want := range map[string]string{
		"iptables-restore: line 3 failed": "-F B",
		"Error occurred at line: 2":       "-F A",
		"line 99 failed":                  "",
		"line 0":                          "",
		"nothing":                         "",
		"line 99999999999999999999: CHAIN_DEL failed": "",
	} {
		if got := failedLine(stderr, script); got != want {
			t.Errorf("%q: got %q, want %q", stderr, got, want)
		}
	}
}

const orphanEnv = "IPTABLES_TEST_ORPHAN"

// orphanMain is a daemon that is about to be killed: it applies a switch while
// somebody holds the xtables lock, or anticipates one.
func orphanMain() int {
	b, err := New(context.Background(), Options{Variant: Legacy, WaitSec: 30})
	if err == nil && os.Getenv(orphanEnv) == anticipated {
		b.Anticipate(nat.DualStack)
		select {}
	}
	if err == nil {
		_, err = b.Apply(context.Background(), nat.Rules{Redirects: []nat.Redirect{web(v2, 8444)}})
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// TestCommandDiesWithUs: a command that waits for the xtables lock, or for
// something to write, when the daemon is killed must not write later, over what the next daemon wrote.
func TestCommandDiesWithUs(t *testing.T) {
	newNetns(t)
	mustApply(t, newBackend(t, Legacy), web(v1, 8443))
	before := saved(t, Legacy, nat.IPv4, true)

	release := holdXtablesLock(t)
	for _, doing := range []string{"apply", anticipated} {
		daemon := exec.Command("/proc/self/exe")
		daemon.Env = append(os.Environ(), orphanEnv+"="+doing)
		daemon.Stderr = os.Stderr
		if err := daemon.Start(); err != nil {
			t.Fatal(err)
		}
		restore := waitForChild(t, daemon.Process.Pid, "restore")
		daemon.Process.Kill()
		daemon.Wait()
		waitFor(t, "the command to end", func() bool { return ended(restore) })
	}
	release()
	if after := saved(t, Legacy, nat.IPv4, true); after != before {
		t.Errorf("written after the daemon's death:\n%s", after)
	}
}

// waitForChild returns the pid of a child with this word in its command line.
func waitForChild(t *testing.T, parent int, word string) (pid int) {
	t.Helper()
	waitFor(t, "a child that runs "+word, func() bool {
		stats, err := filepath.Glob("/proc/[0-9]*/stat")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range stats {
			stat, _ := os.ReadFile(path)
			_, rest, _ := strings.Cut(string(stat), ") ")
			if f := strings.Fields(rest); len(f) < 2 || f[1] != strconv.Itoa(parent) {
				continue
			}
			cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			if strings.Contains(string(cmdline), word) {
				pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
				return true
			}
		}
		return false
	})
	return pid
}

func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}
