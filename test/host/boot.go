package host

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed init.sh
var initScript string

var past = time.Unix(1, 0) // a deadline that ends a read

// bootSystemd boots the host from its disk, with the links it has.
func (h *Host) bootSystemd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	binds, err := h.binds()
	if err != nil {
		return err
	}
	if err := os.Mkdir(h.group, 0o755); err != nil {
		return fmt.Errorf("make cgroup: %w", err)
	}
	group, err := os.Open(h.group)
	if err != nil {
		return err
	}
	defer group.Close()
	var console console
	pid1 := exec.Command("sh", append([]string{"-c", initScript, "init.sh"}, binds...)...)
	pid1.Stdout, pid1.Stderr = &console, &console
	notify, bootID := filepath.Join(h.dir, "notify"), filepath.Join(h.dir, "boot_id")
	pid1.Env = []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "ROOT=" + h.disk.root, "NAME=" + h.name,
		"NOTIFY=" + notify, "BOOT_ID=" + bootID, "SYSTEMD=" + h.disk.systemd, "TARGET=" + h.opts.Target,
	}
	pid1.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		// The child unshares its cgroup namespace when it is in the cgroup
		// already: that is the namespace's root.
		UseCgroupFD: true, CgroupFD: int(group.Fd()), Unshareflags: unix.CLONE_NEWCGROUP,
	}
	var ready *net.UnixConn
	err = h.boot(pid1, func() (err error) {
		if err := writeBootID(bootID); err != nil {
			return err
		}
		os.Remove(notify) // of the boot before
		ready, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
		if err != nil {
			return err
		}
		return h.plugAll(ctx)
	})
	if ready != nil {
		// Closed when the boot is over: nobody reads any more, and a full
		// socket would block systemd.
		defer ready.Close()
	}
	if err != nil {
		return err
	}
	if err := h.awaitReady(ctx, ready); err != nil {
		return fmt.Errorf("%w\n%s%s", err, console.String(), h.jobs())
	}
	scope, err := os.Open(filepath.Join(h.group, "init.scope"))
	if err != nil {
		return fmt.Errorf("find the cgroup of PID 1: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cgroup = scope
	return nil
}

// awaitReady returns when systemd has sent READY=1, which as PID 1 it does
// when no start-up job is left.
func (h *Host) awaitReady(ctx context.Context, ready *net.UnixConn) error {
	stop := context.AfterFunc(ctx, func() { ready.SetReadDeadline(past) })
	defer stop()
	h.mu.Lock()
	exited := h.exited
	h.mu.Unlock()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-exited:
			ready.SetReadDeadline(past)
		case <-done:
		}
	}()
	buf := make([]byte, 4096)
	for {
		n, err := ready.Read(buf)
		if err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("systemd did not finish starting up: %w", context.Cause(ctx))
			}
			return fmt.Errorf("PID 1 ended while it booted")
		}
		for line := range strings.Lines(string(buf[:n])) {
			if strings.TrimSpace(line) == "READY=1" {
				return nil
			}
		}
	}
}

// jobs says what a boot that did not finish waits for.
func (h *Host) jobs() string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	out, _ := h.Run(ctx, "systemctl", "list-jobs", "--no-pager")
	return out
}

// binds returns opts.Binds as init.sh takes them.
func (h *Host) binds() ([]string, error) {
	var args []string
	for there, here := range h.opts.Binds {
		// Where init.sh mounts it, a link would lead into the host.
		here, err := filepath.EvalSymlinks(here)
		if err != nil {
			return nil, fmt.Errorf("bind %s: %w", there, err)
		}
		if here, err = filepath.Abs(here); err != nil {
			return nil, fmt.Errorf("bind %s: %w", there, err)
		}
		args = append(args, here, there)
	}
	return args, nil
}

// writeBootID writes a random id. The kernel's is the machine's and outlives a
// host, so that nothing in it could tell one boot from the next.
func writeBootID(path string) error {
	id, err := os.ReadFile("/proc/sys/kernel/random/uuid") // another at each read
	if err != nil {
		return err
	}
	return os.WriteFile(path, id, 0o444)
}

// console keeps the end of what PID 1 prints before the journal takes over.
type console struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf.Len()+len(b) > 64<<10 {
		c.buf.Reset()
	}
	return c.buf.Write(b)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return lastOf(c.buf.String(), 4000)
}
