package lock_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/lock"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("LOCK_TEST_HOLD"); path != "" {
		os.Exit(hold(path))
	}
	os.Exit(m.Run())
}

// hold is another process: it takes the lock, says so, and keeps it until its
// standard input ends.
func hold(path string) int {
	l, err := lock.Acquire(context.Background(), path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("held")
	os.Stdin.Read(make([]byte, 1))
	if err := l.Release(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// startHolder returns once another process holds the lock.
func startHolder(t *testing.T, path string) (cmd *exec.Cmd, release func()) {
	t.Helper()
	cmd = exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "LOCK_TEST_HOLD="+path)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("holder said %q, %v", line, err)
	}
	return cmd, func() { stdin.Close() }
}

func context10s(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func mustAcquire(t *testing.T, path string) *lock.Lock {
	t.Helper()
	l, err := lock.Acquire(context10s(t), path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAcquireMakesFolderAndFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "rules.lock")
	l := mustAcquire(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %o, want 600", got)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
	if err := l.Release(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second release: %v, want it to wrap os.ErrClosed", err)
	}
}

func TestAcquireFollowsNoSymlink(t *testing.T) {
	dir := t.TempDir()
	target, path := filepath.Join(dir, "target"), filepath.Join(dir, "rules.lock")
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	if l, err := lock.Acquire(context10s(t), path); !errors.Is(err, unix.ELOOP) {
		t.Errorf("got %v, %v, want ELOOP", l, err)
	}
	if _, err := os.Lstat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link's target was made: %v", err)
	}
}

func TestAcquireRefusesOtherKindsOfFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.lock")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := lock.Acquire(context10s(t), path); err == nil {
		l.Release()
		t.Error("a fifo was taken for a lock")
	}
}

func TestAcquireExcludes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.lock")
	const goroutines, rounds = 8, 25
	var inside, count atomic.Int32
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range rounds {
				l, err := lock.Acquire(context10s(t), path)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d hold the lock at once", n)
				}
				count.Add(1)
				runtime.Gosched()
				inside.Add(-1)
				if err := l.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := count.Load(); got != goroutines*rounds {
		t.Errorf("taken %d times, want %d", got, goroutines*rounds)
	}
}

func TestAcquireWaitsForAnotherProcess(t *testing.T) {
	tests := map[string]func(t *testing.T, holder *exec.Cmd, release func()){
		"released": func(_ *testing.T, _ *exec.Cmd, release func()) { release() },
		"killed": func(t *testing.T, holder *exec.Cmd, _ func()) {
			if err := holder.Process.Kill(); err != nil {
				t.Error(err)
			}
		},
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rules.lock")
			holder, release := startHolder(t, path)
			got := make(chan error, 1)
			go func() {
				l, err := lock.Acquire(context10s(t), path)
				if err == nil {
					err = l.Release()
				}
				got <- err
			}()
			select {
			case err := <-got:
				t.Fatalf("did not wait: %v", err)
			case <-time.After(100 * time.Millisecond):
			}
			end(t, holder, release)
			if err := <-got; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The kernel's word wakes who waits, not the end of a pause between two tries,
// which has grown to a second: on a machine without time to spare that shows in
// one of several times.
func TestAcquireIsWoken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.lock")
	var took []time.Duration
	for range 5 {
		l := mustAcquire(t, path)
		got := make(chan time.Time, 1)
		go func() {
			defer close(got)
			l, err := lock.Acquire(context10s(t), path)
			if err != nil {
				t.Error(err)
				return
			}
			got <- time.Now()
			l.Release()
		}()
		time.Sleep(1100 * time.Millisecond) // as long as it takes the pause to grow
		released := time.Now()
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
		d := (<-got).Sub(released)
		if d < 600*time.Millisecond {
			return
		}
		took = append(took, d)
	}
	t.Errorf("taken over after %v", took)
}

func TestAcquireEndsWithContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.lock")
	holder, release := startHolder(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := lock.Acquire(ctx, path)
	var held *lock.HeldError
	if !errors.As(err, &held) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want a HeldError for a deadline", err)
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", holder.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if held.PID != holder.Process.Pid || held.Comm != strings.TrimSpace(string(comm)) {
		t.Errorf("held by %d (%s), want %d (%s)", held.PID, held.Comm, holder.Process.Pid, comm)
	}
	// Giving up must not have taken the lock nor stand in anybody's way.
	release()
	if err := mustAcquire(t, path).Release(); err != nil {
		t.Error(err)
	}
}

func TestAcquireWithEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if _, err := lock.Acquire(ctx, filepath.Join(t.TempDir(), "l")); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
}

// TestAcquireSeesReplacement: a lock on a removed file excludes nobody, so a
// waiter must move on to the file that is there now.
func TestAcquireSeesReplacement(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.lock")
	old := mustAcquire(t, path)
	defer old.Release()
	got := make(chan *lock.Lock, 1)
	go func() {
		l, err := lock.Acquire(context10s(t), path)
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	time.Sleep(20 * time.Millisecond) // either order must do; mostly it waits already
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l := <-got
	if l == nil {
		return
	}
	defer l.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := lock.Acquire(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the new file is not locked: %v", err)
	}
}

// TestReleaseDespiteChild: a copy of the descriptor, as every fork makes one,
// must not keep a released lock.
func TestReleaseDespiteChild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.lock")
	l := mustAcquire(t, path)
	copies := copyDescriptors(t, path)
	defer copies()
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if err := mustAcquire(t, path).Release(); err != nil {
		t.Error(err)
	}
}

// copyDescriptors duplicates this process's descriptors of path.
func copyDescriptors(t *testing.T, path string) (closeAll func()) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var dups []int
	for _, fd := range fds {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); to != path {
			continue
		}
		var n int
		fmt.Sscan(fd.Name(), &n)
		dup, err := unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		dups = append(dups, dup)
	}
	if len(dups) == 0 {
		t.Fatal("no descriptor of the lock found")
	}
	return func() {
		for _, fd := range dups {
			unix.Close(fd)
		}
	}
}

func TestTry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := lock.Try(path)
	if err != nil || l == nil {
		t.Fatalf("a free one: %v, %v", l, err)
	}
	if again, err := lock.Try(path); again != nil || err != nil {
		t.Errorf("one that is held: %v, %v", again, err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
	l, err = lock.Try(path)
	if err != nil || l == nil {
		t.Fatalf("one that was released: %v, %v", l, err)
	}
	l.Release()
}

func TestWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	released, stop, err := lock.Watch(path)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	<-released // of Watch itself, which has opened and closed the file
	for range 2 {
		l, err := lock.Acquire(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-released:
			t.Error("a sign while it is held")
		case <-time.After(20 * time.Millisecond):
		}
		l.Release()
		select {
		case <-released:
		case <-time.After(10 * time.Second):
			t.Fatal("no sign of the release")
		}
	}
}

// Another user's file is no lock: he can take it away.
func TestAnotherUsersFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o777)
	}
	path := filepath.Join(dir, "lock")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o666)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "LOCK_TEST_HOLD="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "belongs to uid 0") && !strings.Contains(string(out), "permission denied") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestHolderOfALock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if who := lock.Holder(path); who != "" {
		t.Errorf("of a file that is not there: %q", who)
	}
	l := mustAcquire(t, path)
	if who := lock.Holder(path); !strings.HasPrefix(who, fmt.Sprintf("process %d (", os.Getpid())) {
		t.Errorf("while we hold it: %q", who)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if who := lock.Holder(path); who != "" {
		t.Errorf("of one that is free: %q", who)
	}
	mustAcquire(t, path).Release() // the look has given it back
}
