package iptables

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// host is a network namespace that the test's goroutine, or one of do's, is in.
type host struct{ ns *os.File }

// thisHost is the namespace of the calling thread.
func thisHost(t testing.TB) *host {
	t.Helper()
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return &host{ns}
}

// do runs f in the host, in a goroutine and thread of its own, and waits.
func (h *host) do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends here
		if err := unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("setns: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

// The addresses of the server's host on the wire, and the client's.
var (
	serverAddr = map[nat.Family]netip.Addr{nat.IPv4: netip.MustParseAddr("192.0.2.1"), nat.IPv6: netip.MustParseAddr("2001:db8::1")}
	clientAddr = map[nat.Family]string{nat.IPv4: "192.0.2.2", nat.IPv6: "2001:db8::2"}
	// The client's other address, which some firewalls treat otherwise.
	strangerAddr = map[nat.Family]string{nat.IPv4: "192.0.2.66", nat.IPv6: "2001:db8::66"}
	loopback     = map[nat.Family]netip.Addr{nat.IPv4: netip.MustParseAddr("127.0.0.1"), nat.IPv6: netip.IPv6Loopback()}
)

// newHosts makes the calling thread's namespace the server's host and returns
// it with a client's host at the other end of a wire.
func newHosts(t testing.TB) (server, client *host) {
	t.Helper()
	newNetns(t)
	server = thisHost(t)
	ready, over := make(chan *host), make(chan struct{})
	go func() {
		newNetns(t)
		ready <- thisHost(t)
		<-over
	}()
	client = <-ready
	t.Cleanup(func() { close(over) })
	const mac, peerMAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
	bits := map[nat.Family]string{nat.IPv4: "/24", nat.IPv6: "/64"}
	// The peer is sent to the other namespace by a descriptor of ours.
	here := fmt.Sprintf("link add wire address %s type veth peer name wire2 address %s\n", mac, peerMAC) +
		fmt.Sprintf("link set wire2 netns /proc/%d/fd/%d\n", os.Getpid(), client.ns.Fd()) +
		"link set wire up\n"
	there := "link set wire2 up\n"
	// Neighbours are fixed: the firewalls of some tests drop all that is new,
	// so also what IPv6 asks its neighbours.
	for _, f := range families {
		here += fmt.Sprintf("addr add %s%s dev wire nodad\n", serverAddr[f], bits[f]) +
			fmt.Sprintf("neigh add %s lladdr %s dev wire nud permanent\n", clientAddr[f], peerMAC) +
			fmt.Sprintf("neigh add %s lladdr %s dev wire nud permanent\n", strangerAddr[f], peerMAC)
		there += fmt.Sprintf("addr add %s%s dev wire2 nodad\n", clientAddr[f], bits[f]) +
			fmt.Sprintf("addr add %s%s dev wire2 nodad\n", strangerAddr[f], bits[f]) +
			fmt.Sprintf("neigh add %s lladdr %s dev wire2 nud permanent\n", serverAddr[f], mac)
	}
	commandInput(t, here, "ip", "-batch", "-")
	err := client.do(func() error {
		commandInput(t, there, "ip", "-batch", "-")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return server, client
}

// serve answers every connection to a port with a word, on both families.
func serve(t testing.TB, port uint16, word string) {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				io.WriteString(c, word)
				// The client closes first, so that no address of the server's
				// is left in TIME_WAIT, and nobody resets.
				c.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, c)
			}()
		}
	}()
}

// ask connects, from the calling thread's namespace, and returns the word.
func ask(addr netip.AddrPort, timeout time.Duration) (string, error) {
	c, err := net.DialTimeout("tcp", addr.String(), timeout)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	word, err := io.ReadAll(c)
	return string(word), err
}

// askFrom is ask from a host.
func (h *host) ask(addr netip.AddrPort) (word string, err error) {
	err = h.do(func() error {
		word, err = ask(addr, 5*time.Second)
		return err
	})
	return word, err
}

// TestSwitchLosesNothing dials the public port all the time, from another host
// and from this one, over IPv4 and IPv6, while 200 Applies move it back and
// forth between two servers.
func TestSwitchLosesNothing(t *testing.T) {
	for _, v := range variants {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			server, client := newHosts(t)
			serve(t, 61001, "one")
			serve(t, 61002, "two")
			b := newBackend(t, v)
			mustApply(t, b, web(v1, 61001))

			const switches = 200
			var over atomic.Bool
			var answers [2]atomic.Int64
			var clients sync.WaitGroup
			loop := func(h *host, to netip.AddrPort) {
				clients.Go(func() {
					err := h.do(func() error {
						for !over.Load() {
							// A lost SYN would come again after one second.
							word, err := ask(to, 5*time.Second)
							if err != nil {
								return fmt.Errorf("to %v: %w", to, err)
							}
							switch word {
							case "one":
								answers[0].Add(1)
							case "two":
								answers[1].Add(1)
							default:
								return fmt.Errorf("to %v: %q", to, word)
							}
							// Leave some of the machine to the switches.
							time.Sleep(8 * time.Millisecond)
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			for _, f := range families {
				loop(client, netip.AddrPortFrom(serverAddr[f], 443))
				loop(server, netip.AddrPortFrom(serverAddr[f], 443))
				loop(server, netip.AddrPortFrom(loopback[f], 443))
			}
			begun := time.Now()
			for i := range switches {
				if t.Failed() {
					break
				}
				mustApply(t, b, web([]string{v2, v1}[i%2], []uint16{61002, 61001}[i%2]))
			}
			took := time.Since(begun)
			over.Store(true)
			clients.Wait()
			one, two := answers[0].Load(), answers[1].Load()
			t.Logf("%d switches in %v; %d connections served by one, %d by the other, none lost", switches, took, one, two)
			if one == 0 || two == 0 {
				t.Error("only one server was ever asked")
			}
		})
	}
}

// TestScope: whose connections are redirected, and that the address dialled is
// kept.
func TestScope(t *testing.T) {
	for _, v := range variants {
		t.Run(v.String(), func(t *testing.T) {
			server, client := newHosts(t)
			serve(t, 443, "direct")
			serve(t, 61001, "redirected")
			b := newBackend(t, v)
			for _, scope := range []nat.Scope{nat.Network, nat.Localhost, nat.Everyone} {
				rd := web(v1, 61001)
				rd.Scope = scope
				mustApply(t, b, rd)
				for _, f := range families {
					for name, c := range map[string]struct {
						from  *host
						to    netip.Addr
						scope nat.Scope
					}{
						"from the network":               {client, serverAddr[f], nat.Network},
						"from this host":                 {server, serverAddr[f], nat.Localhost},
						"from this host to its loopback": {server, loopback[f], nat.Localhost},
					} {
						want := "direct"
						if scope&c.scope != 0 {
							want = "redirected"
						}
						if got, err := c.from.ask(netip.AddrPortFrom(c.to, 443)); got != want {
							t.Errorf("scope %v, %v %s: got %q, %v, want %q", scope, f, name, got, err, want)
						}
					}
				}
			}
		})
	}
}

// TestAddressIsKept: a listener bound to a secondary address is found under it,
// and a redirect of one address leaves the others alone.
func TestAddressIsKept(t *testing.T) {
	for _, v := range variants {
		t.Run(v.String(), func(t *testing.T) {
			_, client := newHosts(t)
			second := map[nat.Family]netip.Addr{nat.IPv4: netip.MustParseAddr("192.0.2.7"), nat.IPv6: netip.MustParseAddr("2001:db8::7")}
			command(t, "ip", "addr", "add", "192.0.2.7/24", "dev", "wire")
			command(t, "ip", "addr", "add", "2001:db8::7/64", "dev", "wire", "nodad")
			rd := nat.Redirect{Service: "web", Activation: v1, Scope: nat.Everyone}
			for _, f := range families {
				l, err := net.Listen("tcp", netip.AddrPortFrom(second[f], 61001).String())
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				go func() {
					for {
						c, err := l.Accept()
						if err != nil {
							return
						}
						io.WriteString(c, c.LocalAddr().(*net.TCPAddr).IP.String())
						c.Close()
					}
				}()
				rd.Targets = append(rd.Targets, nat.Target{
					Endpoint: nat.Endpoint{Addr: second[f], Port: 443}, Port: 61001, Families: nat.DualStack,
				})
			}
			mustApply(t, newBackend(t, v), rd)
			for _, f := range families {
				if got, err := client.ask(netip.AddrPortFrom(second[f], 443)); got != second[f].String() {
					t.Errorf("%v: got %q, %v", f, got, err)
				}
				if got, err := client.ask(netip.AddrPortFrom(serverAddr[f], 443)); !errors.Is(err, unix.ECONNREFUSED) {
					t.Errorf("%v, another address: got %q, %v, want it refused", f, got, err)
				}
			}
		})
	}
}
