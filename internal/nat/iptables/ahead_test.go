package iptables

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// watched is a Backend whose restore commands are counted.
type watched struct {
	*Backend
	t   *testing.T
	log string // a line for each command that was started: its process
}

func newWatched(t *testing.T, v Variant) *watched {
	t.Helper()
	b := &watched{Backend: newBackend(t, v), t: t, log: filepath.Join(t.TempDir(), "started")}
	for _, tool := range b.tools {
		script := filepath.Join(t.TempDir(), filepath.Base(tool.restore))
		text := fmt.Sprintf("#!/bin/sh\necho $$ >>%s\nexec %s \"$@\"\n", b.log, tool.restore)
		// A child of another test's must not have it open for writing, or it
		// could not be executed.
		syscall.ForkLock.RLock()
		err := os.WriteFile(script, []byte(text), 0o755)
		syscall.ForkLock.RUnlock()
		if err != nil {
			t.Fatal(err)
		}
		tool.restore = script
	}
	return b
}

// started returns the processes of the commands that have been started so far.
func (b *watched) started() (pids []int) {
	b.t.Helper()
	text, err := os.ReadFile(b.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			b.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// ready anticipates an Apply, and returns the process of each family once it waits
// for its first line.
func (b *watched) ready() (pids []int) {
	b.t.Helper()
	b.Anticipate(nat.DualStack)
	waitFor(b.t, "two commands that wait", func() bool {
		pids = slices.DeleteFunc(b.started(), func(pid int) bool { return !reads(pid) })
		return len(pids) == 2
	})
	slices.SortFunc(pids, func(p, q int) int { return -strings.Compare(comm(p), comm(q)) })
	return pids // iptables, ip6tables
}

// reads reports whether a process waits for its standard input.
func reads(pid int) bool {
	call, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", pid))
	return err == nil && strings.HasPrefix(string(call), fmt.Sprintf("%d 0x0 ", unix.SYS_READ)) && comm(pid) != "sh"
}

func comm(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(name))
}

func (b *watched) wantStarted(n int) {
	b.t.Helper()
	if got := b.started(); len(got) != n {
		b.t.Errorf("%d commands were started, want %d", len(got), n)
	}
}

func wantEnded(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if !ended(pid) {
			t.Errorf("process %d (%s) is there still", pid, comm(pid))
		}
	}
}

func switched(n int) nat.Rules {
	return nat.Rules{Redirects: []nat.Redirect{web([]string{v1, v2}[n%2], uint16(8443+n%2))}}
}

// TestAnticipate: the commands that write are those that waited.
func TestAnticipate(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newWatched(t, v)
		for n := range 4 {
			pids := b.ready()
			b.Anticipate(nat.DualStack)
			mustApply(t, b.Backend, switched(n).Redirects...)
			checkInstalled(t, b.Backend, switched(n))
			wantEnded(t, pids...)
			b.wantStarted(2 * (n + 1))
		}
		mustApply(t, b.Backend, switched(0).Redirects...)
		b.wantStarted(10)
	})
}

// TestAnticipateAtOnce: an Apply comes when the commands have hardly been started.
func TestAnticipateAtOnce(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newWatched(t, v)
		for n := range 10 {
			b.Anticipate(nat.DualStack)
			mustApply(t, b.Backend, switched(n).Redirects...)
			checkInstalled(t, b.Backend, switched(n))
			b.wantStarted(2 * (n + 1))
		}
	})
}

// TestAnticipateInVain: a command that waits has changed nothing, not even loaded a
// table, and has not when it has waited for too long, nor when the Backend is
// closed.
func TestAnticipateInVain(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newWatched(t, v)
		untouched := func() {
			t.Helper()
			if got := command(t, "nft", "list", "ruleset"); got != "" {
				t.Errorf("written to nftables:\n%s", got)
			}
			for _, f := range families {
				if legacyTable(f, "nat") {
					t.Errorf("the %v table was loaded", f)
				}
			}
		}
		pids := b.ready()
		untouched()
		for _, tool := range b.tools {
			tool.ahead.patience = 50 * time.Millisecond
		}
		b.Anticipate(nat.DualStack)
		waitFor(t, "the commands to end", func() bool { return ended(pids[0]) && ended(pids[1]) })
		for _, tool := range b.tools {
			tool.ahead.patience = 0
		}
		untouched()
		pids = b.ready()
		b.Close()
		wantEnded(t, pids...)
		untouched()
		b.Anticipate(nat.DualStack)
		b.wantStarted(4)
		mustApply(t, b.Backend, switched(0).Redirects...)
		b.wantStarted(6)
		checkInstalled(t, b.Backend, switched(0))
	})
}

// TestAnticipateKilled: somebody kills the commands that wait.
func TestAnticipateKilled(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newWatched(t, v)
		for n, which := range [][]int{{0}, {1}, {0, 1}} {
			pids := b.ready()
			for _, i := range which {
				unix.Kill(pids[i], unix.SIGKILL)
			}
			before := len(b.started())
			mustApply(t, b.Backend, switched(n).Redirects...)
			checkInstalled(t, b.Backend, switched(n))
			wantEnded(t, pids...)
			b.wantStarted(before + len(which))
		}
		pids := b.ready()
		unix.Kill(pids[0], unix.SIGKILL)
		waitFor(t, "the dead one to be noticed", func() bool {
			a := &b.tools[0].ahead
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.writer == nil
		})
		before := len(b.started())
		b.Anticipate(nat.DualStack)
		waitFor(t, "another one", func() bool { return len(b.started()) == before+1 })
	})
}

// TestAnticipateKilledAnyTime kills them while an Apply is under way.
func TestAnticipateKilledAnyTime(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newWatched(t, v)
		mustApply(t, b.Backend, switched(0).Redirects...)
		for n := range 40 {
			pids := b.ready()
			killed := make(chan struct{})
			go func() {
				defer close(killed)
				time.Sleep(rand.N(3 * time.Millisecond))
				unix.Kill(pids[n%2], unix.SIGKILL)
			}()
			// Dead when it may have committed already: a read shows whether.
			mustApply(t, b.Backend, switched(n+1).Redirects...)
			<-killed
			checkInstalled(t, b.Backend, switched(n+1))
			if t.Failed() {
				t.Fatalf("round %d", n)
			}
		}
	})
}

// TestAnticipateFails: what goes wrong is said in the same words.
func TestAnticipateFails(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newWatched(t, v)
		for _, script := range []string{
			"*nat\n-F NONE\nCOMMIT\n",
			"*nat\n:SWX - [0:0]\n-A PREROUTING -j NONE\nCOMMIT\n",
			"*nat\n-X NONE\n" + strings.Repeat("-A PREROUTING\n", 1e5) + "COMMIT\n", // more than a pipe holds
			"*nat\n-N SWX\n",
		} {
			tool := b.tools[0]
			_, want := tool.write(testContext(t), script)
			pids := b.ready()
			ahead, got := tool.write(testContext(t), script)
			if short := len(script) < 1000; short && !ahead {
				t.Error("not written by the command that waited")
			}
			if want == nil || got == nil || got.Error() != want.Error() {
				t.Errorf("got %v\nwant %v", got, want)
			}
			var cmdErr *CommandError
			if !errors.As(got, &cmdErr) {
				t.Errorf("%T is no CommandError", got)
			}
			wantEnded(t, pids[0])
		}
		wantNoTrace(t, v)
	})
}

// TestAnticipateManyLines: a script that is longer than a pipe.
func TestAnticipateManyLines(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newWatched(t, v)
		script := "*nat\n:SWX - [0:0]\n" + strings.Repeat("-A SWX -p tcp --dport 443 -j DNAT --to-destination :8443\n", 3000) + "COMMIT\n"
		pids := b.ready()
		if ahead, err := b.tools[0].write(testContext(t), script); !ahead || err != nil {
			t.Fatal(ahead, err)
		}
		wantEnded(t, pids[0])
		b.wantStarted(2)
		if got := strings.Count(command(t, v.command(nat.IPv4)+"-save", "-t", "nat"), "-A SWX"); got != 3000 {
			t.Errorf("%d rules", got)
		}
	})
}

// TestAnticipateLocked: another program holds the xtables lock. Not parallel: all
// tests share the lock.
func TestAnticipateLocked(t *testing.T) {
	newNetns(t)
	b := newWatched(t, Legacy)
	for _, tool := range b.tools {
		tool.wait = 1
	}
	mustApply(t, b.Backend, switched(0).Redirects...)
	release := holdXtablesLock(t)
	t.Cleanup(release)
	pids := b.ready() // and is not kept from it by the lock
	_, err := b.Apply(testContext(t), switched(1))
	release()
	var cmdErr *CommandError
	if !errors.Is(err, ErrLockBusy) || !errors.As(err, &cmdErr) {
		t.Fatalf("got %v", err)
	}
	if holder := fmt.Sprintf("process %d (", os.Getpid()); !strings.HasPrefix(cmdErr.Holder, holder) {
		t.Errorf("holder %q, want %q", cmdErr.Holder, holder)
	}
	wantEnded(t, pids[0])
	checkInstalled(t, b.Backend, switched(0))

	// The context ends meanwhile.
	for _, tool := range b.tools {
		tool.wait = 30
	}
	release = holdXtablesLock(t)
	t.Cleanup(release)
	pids = b.ready()
	before := len(b.started())
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for !waitsForLock(pids[0]) && !ended(pids[0]) {
			time.Sleep(time.Millisecond)
		}
		cancel(cause)
	}()
	_, err = b.Apply(ctx, switched(1))
	wantEnded(t, pids[0])
	release()
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	b.wantStarted(before)
	checkInstalled(t, b.Backend, switched(0))
}

// waitsForLock reports whether a process waits for a flock.
func waitsForLock(pid int) bool {
	call, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", pid))
	return err == nil && strings.HasPrefix(string(call), fmt.Sprintf("%d ", unix.SYS_FLOCK))
}

// TestAnticipateTimeout: the time for a command begins with the write, and what
// hangs is killed.
func TestAnticipateTimeout(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newWatched(t, v)
		pids := b.ready()
		unix.Kill(pids[0], unix.SIGSTOP)
		tool := b.tools[0]
		done, err := tool.ahead.write(testContext(t), 50*time.Millisecond, "*nat\n-N SWX\nCOMMIT\n", tool.restoring(tool.wait))
		if !done || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, %v", done, err)
		}
		wantEnded(t, pids[0])
		unix.Kill(pids[1], unix.SIGSTOP)
		b.Close()
		wantEnded(t, pids[1])
	})
}

// TestAnticipateOtherwise: a write that the waiting command is not fit for starts one
// of its own, and ends that.
func TestAnticipateOtherwise(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newWatched(t, v)
		here := thisHost(t)
		// In a hurry: no time for the whole wait.
		pids := b.ready()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := b.Apply(ctx, switched(0)); err != nil {
			t.Fatal(err)
		}
		b.wantStarted(4)
		waitFor(t, "the commands to end", func() bool { return ended(pids[0]) && ended(pids[1]) })

		// Anticipated in another namespace.
		err := func() error {
			there := make(chan *host)
			over := make(chan struct{})
			defer close(over)
			go func() {
				newNetns(t)
				pids = b.ready()
				there <- thisHost(t)
				<-over
			}()
			other := <-there
			mustApply(t, b.Backend, switched(1).Redirects...)
			b.wantStarted(8)
			waitFor(t, "the commands to end", func() bool { return ended(pids[0]) && ended(pids[1]) })
			checkInstalled(t, b.Backend, switched(1))
			return other.do(func() error {
				wantNoTrace(t, v)
				// Here, while one waits there.
				b.Anticipate(nat.DualStack)
				return nil
			})
		}()
		if err != nil {
			t.Fatal(err)
		}
		err = here.do(func() error {
			waitFor(t, "two commands that wait", func() bool { return len(b.started()) == 10 })
			pids := b.ready()
			mustApply(t, b.Backend, switched(2).Redirects...)
			b.wantStarted(12)
			wantEnded(t, pids...)
			checkInstalled(t, b.Backend, switched(2))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestAnticipateAllAtOnce: Anticipate, Apply, commands that have waited for too long, and
// Close.
func TestAnticipateAllAtOnce(t *testing.T) {
	eachVariant(t, func(t *testing.T, v Variant) {
		b := newWatched(t, v)
		here := thisHost(t)
		for _, tool := range b.tools {
			tool.ahead.patience = 2 * time.Millisecond
		}
		over := make(chan struct{})
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				err := here.do(func() error {
					for {
						select {
						case <-over:
							return nil
						case <-time.After(rand.N(4 * time.Millisecond)):
							b.Anticipate(nat.DualStack)
						}
					}
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		const rounds = 60
		for n := range rounds {
			mustApply(t, b.Backend, switched(n).Redirects...)
			if n == rounds-10 {
				group.Go(b.Close)
			}
		}
		checkInstalled(t, b.Backend, switched(rounds-1))
		close(over)
		group.Wait()
		wantEnded(t, b.started()...)
	})
}

// TestAnticipateWithoutIPv6: it turns out that this host has none.
func TestAnticipateWithoutIPv6(t *testing.T) {
	newNetns(t)
	commands := withoutIPv6()["no module"]
	commands["ip6tables-legacy-restore"] = "read line"
	fakeCommands(t, commands)
	b := newBackend(t, Legacy)
	b.Anticipate(nat.DualStack)
	w := b.tools[1].ahead.writer
	<-w.started
	if ended(w.process.pid) {
		t.Error("it did not wait")
	}
	mustApply(t, b, switched(0).Redirects...)
	wantEnded(t, w.process.pid)
}
