package host

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Cmd is an exec.Cmd that runs in a Guest: in its namespaces, on a Host in
// systemd's own cgroup, with a plain environment and / as working directory.
// The program itself is this process's child, so signals reach it; it is
// killed when the guest goes down.
type Cmd struct {
	*exec.Cmd
	guest *Guest
	once  sync.Once
	err   error
}

// Cmd prepares a program to run in the guest, which it kills when ctx ends.
func (g *Guest) Cmd(ctx context.Context, args ...string) *Cmd {
	c := &Cmd{Cmd: exec.CommandContext(ctx, "nsenter"), guest: g}
	c.Args = append(c.Args, args...) // Start adds the way in
	c.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LANG=C.UTF-8", "TERM=dumb", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0",
	}
	c.WaitDelay = 10 * time.Second // for descendants that hold the output open
	return c
}

// Start starts the program.
func (c *Cmd) Start() error {
	g := c.guest
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pid1 == nil {
		return fmt.Errorf("%s is down", g.name)
	}
	enter := append([]string{"nsenter", "-t", strconv.Itoa(g.pid1.Pid)}, g.enter...)
	c.Args = append(append(enter, "--"), c.Args[1:]...)
	if g.cgroup != nil {
		// Before it enters the cgroup namespace: afterwards its old cgroup
		// would be out of sight, and the move not allowed.
		c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(g.cgroup.Fd())}
	}
	if err := forkIn(g.pids, c.Cmd.Start); err != nil {
		return err
	}
	g.cmds[c] = struct{}{}
	return nil
}

// forkIn calls fork with its children going to the PID namespace ns. nsenter
// can do that as well, but by a fork of its own, and passes no signals on.
func forkIn(ns *os.File, fork func() error) error {
	own, err := os.Open("/proc/self/ns/pid")
	if err != nil {
		return err
	}
	defer own.Close()
	runtime.LockOSThread()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWPID); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter PID namespace: %w", err)
	}
	err = fork()
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWPID); back != nil {
		return fmt.Errorf("return to PID namespace: %w", back) // the thread stays locked, and ends
	}
	runtime.UnlockOSThread()
	return err
}

// Wait waits for the program to end. Unlike that of exec.Cmd it may be called
// again, and returns the same.
func (c *Cmd) Wait() error {
	c.once.Do(func() {
		c.err = c.Cmd.Wait()
		c.guest.mu.Lock()
		defer c.guest.mu.Unlock()
		delete(c.guest.cmds, c)
	})
	return c.err
}

// Run starts the program and waits for it.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and returns what it printed on stdout.
func (c *Cmd) Output() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run()
	return out.Bytes(), err
}

// CombinedOutput runs the program and returns what it printed on stdout and
// stderr.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}
