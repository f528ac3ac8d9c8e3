package host

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Client is a place on a Network to run programs in: it has PID, mount, network
// and UTS namespaces of its own, the machine's files, and no systemd.
type Client struct {
	*Guest
	closed sync.Once
}

var clients atomic.Int64

// Client makes a client on the network, with these addresses (see Join). Close
// it; that kills what runs in it.
func (n *Network) Client(ctx context.Context, addrs ...string) (*Client, error) {
	name := fmt.Sprintf("client%d", clients.Add(1))
	c := &Client{Guest: newGuest(name, "-m", "-u", "-n")}
	if err := c.start(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	if err := n.join(ctx, c.Guest, addrs); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

const clientInit = `set -e
mount --make-rprivate /
mount -t proc -o nosuid,nodev,noexec proc /proc
mount --bind /proc/sys /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,ro /proc/sys
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /sys
hostname "$0"
echo ready
exec sleep infinity
`

func (c *Client) start(ctx context.Context) error {
	said, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer said.Close()
	pid1 := exec.Command("sh", "-c", clientInit, c.name)
	pid1.Stdout, pid1.Stderr = out, out
	pid1.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS,
	}
	err = c.boot(pid1, func() error { return newNetns(ctx, "") })
	out.Close()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { said.SetReadDeadline(past) })
	defer stop()
	line, err := bufio.NewReader(said).ReadString('\n')
	if line != "ready\n" {
		return fmt.Errorf("start PID 1: %w: %s", err, line)
	}
	return nil
}

// Close kills what runs in the client and removes it. It may be called again.
func (c *Client) Close() {
	c.closed.Do(func() {
		c.down(context.Background(), unix.SIGKILL)
		c.unplugAll(context.Background())
		c.thread.close()
	})
}
