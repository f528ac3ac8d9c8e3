package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Network is a bridge in a network namespace of its own, for Hosts and Clients
// to be on. Close it after them.
type Network struct {
	thread *thread // in that namespace
	mu     sync.Mutex
	ports  int // bridge ports ever made, for their names
}

// NewNetwork makes a network.
func NewNetwork(ctx context.Context) (*Network, error) {
	if err := Check(""); err != nil {
		return nil, err
	}
	n := &Network{thread: newThread()}
	if err := n.thread.do(func() error { return newNetns(ctx, bridge) }); err != nil {
		n.Close()
		return nil, fmt.Errorf("make network: %w", err)
	}
	return n, nil
}

// Without snooping, neighbour discovery is a broadcast like ARP: an address is
// found at once.
const bridge = `link add br0 type bridge forward_delay 0 mcast_snooping 0
link set br0 up
`

// Close removes the bridge. What has joined stays as it is, cut off.
func (n *Network) Close() { n.thread.close() }

// A link is one interface of a guest, and the port of the bridge behind it.
type link struct {
	network *Network
	name    string // in the guest: eth0
	mac     net.HardwareAddr
	addrs   []string
	port    string // on the bridge; empty while unplugged
}

// Join gives h a network interface with these addresses, in the form
// "10.9.0.1/24": the first one of a subnet is the primary one. They are usable
// at once, and come back after a reboot, before systemd starts.
func (n *Network) Join(ctx context.Context, h *Host, addrs ...string) error {
	return n.join(ctx, h.Guest, addrs)
}

func (n *Network) join(ctx context.Context, g *Guest, addrs []string) error {
	for _, a := range addrs {
		if _, err := netip.ParsePrefix(a); err != nil {
			return fmt.Errorf("join network: %w", err)
		}
	}
	mac := make(net.HardwareAddr, 6)
	rand.Read(mac)
	mac[0] = 2 // locally administered, unicast
	g.mu.Lock()
	l := &link{network: n, name: fmt.Sprintf("eth%d", len(g.links)), mac: mac, addrs: addrs}
	g.links = append(g.links, l)
	g.mu.Unlock()
	if err := g.thread.do(func() error { return l.plug(ctx) }); err != nil {
		return fmt.Errorf("join %s to the network: %w", g.name, err)
	}
	return nil
}

// plug makes the interface in the network namespace of the calling thread. It
// has the same MAC address each time, so neighbours need not learn another.
func (l *link) plug(ctx context.Context) error {
	n := l.network
	n.mu.Lock()
	n.ports++
	port := fmt.Sprintf("port%d", n.ports)
	n.mu.Unlock()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer here.Close()
	peer := fmt.Sprintf("link add %s type veth peer name %s address %s netns /proc/self/fd/3\nlink set %[1]s master br0 up\n", port, l.name, l.mac)
	if err := n.thread.do(func() error { return ip(ctx, peer, here) }); err != nil {
		return err
	}
	l.port = port
	var up strings.Builder
	fmt.Fprintf(&up, "link set %s up\n", l.name)
	for _, a := range l.addrs {
		nodad := ""
		if netip.MustParsePrefix(a).Addr().Is6() {
			nodad = " nodad" // usable at once, not in a second
		}
		fmt.Fprintf(&up, "addr add %s dev %s%s\n", a, l.name, nodad)
	}
	return ip(ctx, up.String())
}

// unplug removes the bridge port, and with it the interface, at once: the
// namespace of a guest that is down ends some time later.
func (l *link) unplug(ctx context.Context) error {
	if l.port == "" {
		return nil
	}
	port := l.port
	l.port = ""
	return l.network.thread.do(func() error { return ip(ctx, "link del "+port+"\n") })
}

// plugAll gives the calling thread, which is the guest's, a new network
// namespace with all the guest's links.
func (g *Guest) plugAll(ctx context.Context) error {
	if err := newNetns(ctx, ""); err != nil {
		return err
	}
	g.mu.Lock()
	links := g.links
	g.mu.Unlock()
	for _, l := range links {
		if err := l.plug(ctx); err != nil {
			return fmt.Errorf("plug %s in: %w", l.name, err)
		}
	}
	return nil
}

// unplugAll removes the guest's links. Those of a network that was closed are
// gone already.
func (g *Guest) unplugAll(ctx context.Context) error {
	g.mu.Lock()
	links := g.links
	g.mu.Unlock()
	var errs []error
	for _, l := range links {
		if err := l.unplug(ctx); err != nil && !errors.Is(err, errClosed) {
			errs = append(errs, fmt.Errorf("unplug %s: %w", l.name, err))
		}
	}
	return errors.Join(errs...)
}

// newNetns gives the calling thread a new network namespace, with loopback up
// and no duplicate address detection, and runs more ip commands in it.
func newNetns(ctx context.Context, commands string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	for _, conf := range []string{"all", "default"} {
		// Of the thread's namespace. Where the kernel has IPv6 off this fails, and
		// adding an address will say so.
		os.WriteFile("/proc/sys/net/ipv6/conf/"+conf+"/accept_dad", []byte("0"), 0)
	}
	return ip(ctx, "link set lo up\n"+commands)
}

// ip runs commands of iproute2, one a line, in the network namespace of the
// calling thread. Files are its descriptors from 3 on.
func ip(ctx context.Context, commands string, files ...*os.File) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(commands)
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
