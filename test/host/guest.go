package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Guest is a set of namespaces with a PID 1 of its own: what Host and Client
// have in common. Its methods may be called from several goroutines.
type Guest struct {
	name   string
	thread *thread  // forks PID 1 and is in the guest's network namespace
	enter  []string // the options of nsenter that lead in

	mu     sync.Mutex
	pid1   *os.Process   // nil while the guest is down
	exited chan struct{} // closed when pid1 has been waited for
	pids   *os.File      // its PID namespace
	cgroup *os.File      // where commands run; nil: where this process does
	cmds   map[*Cmd]struct{}
	links  []*link
}

func newGuest(name string, enter ...string) *Guest {
	return &Guest{name: name, thread: newThread(), enter: enter, cmds: map[*Cmd]struct{}{}}
}

// Name returns the guest's host name.
func (g *Guest) Name() string { return g.name }

// PID returns the process id of the guest's PID 1 as seen from here, 0 if it
// is down. A reboot changes it.
func (g *Guest) PID() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pid1 == nil {
		return 0
	}
	return g.pid1.Pid
}

// runTimeout bounds Run where the caller's context does not.
const runTimeout = time.Minute

// Run runs a program in the guest and returns what it printed on stdout and
// stderr. The error of a program that failed ends with the end of that. Without
// a deadline in ctx, a minute is allowed.
func (g *Guest) Run(ctx context.Context, args ...string) (string, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, runTimeout)
		defer cancel()
	}
	b, err := g.Cmd(ctx, args...).CombinedOutput()
	out := string(b)
	if err == nil {
		return out, nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return out, fmt.Errorf("%s: %s: %w: %s", g.name, strings.Join(args, " "), err, lastOf(strings.TrimSpace(out), 2000))
}

// boot runs before on the guest's thread and then forks PID 1 from it, to die
// with it.
func (g *Guest) boot(pid1 *exec.Cmd, before func() error) error {
	if pid1.SysProcAttr == nil {
		pid1.SysProcAttr = &syscall.SysProcAttr{}
	}
	pid1.SysProcAttr.Pdeathsig = unix.SIGKILL
	err := g.thread.do(func() error {
		if err := before(); err != nil {
			return err
		}
		return pid1.Start()
	})
	if err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		pid1.Wait() // its status says nothing: a PID 1 is killed in the end
		close(exited)
	}()
	pids, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", pid1.Process.Pid))
	if err != nil {
		pid1.Process.Kill()
		<-exited
		return fmt.Errorf("PID 1 ended at once: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pid1, g.exited, g.pids = pid1.Process, exited, pids
	return nil
}

// down sends PID 1 the signal that ends it, lets no new command in and returns
// when all has ended. When ctx ends first it kills PID 1 and says so.
//
// A PID namespace ends once each of its processes has been waited for, and
// those that Cmd started are ours to wait for: one that its caller forgot
// would keep PID 1 from ending.
func (g *Guest) down(ctx context.Context, end os.Signal) error {
	g.mu.Lock()
	pid1, exited, pids, cgroup := g.pid1, g.exited, g.pids, g.cgroup
	g.pid1, g.pids, g.cgroup = nil, nil, nil
	var cmds sync.WaitGroup
	for c := range g.cmds {
		cmds.Go(func() { c.Wait() })
	}
	g.mu.Unlock()
	if pid1 == nil {
		return nil
	}
	pid1.Signal(end)
	var err error
	select {
	case <-exited:
	case <-ctx.Done():
		err = fmt.Errorf("%s did not shut down and was killed: %w", g.name, context.Cause(ctx))
		pid1.Kill()
		<-exited
	}
	cmds.Wait()
	pids.Close()
	if cgroup != nil {
		cgroup.Close()
	}
	return err
}

func lastOf(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "..." + s[len(s)-n:]
}
