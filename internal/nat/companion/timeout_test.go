package companion

import (
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTimeouts reads the timers of redirected connections in every state that
// the policy names. The namespace's own are set to others, to tell them apart.
func TestTimeouts(t *testing.T) {
	for _, w := range ways() {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			server, remote := hosts(t)
			client := w.client(server, remote)
			apply(t, server.open(t, Options{}), []uint16{61000, 61001}, nil)
			server.run(t, "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_timeout_established=1000")
			w.redirect(t, server, 61000, false)

			server.listen(t, ":61000", echo)
			c, err := client.dial(w.public(), 0, dialTimeout)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			check := func(name string, port int, state string, least, most int) {
				t.Helper()
				eventually(t, name, func() error {
					flows := w.flows(t, server, port)
					for _, f := range flows {
						if f.state == state && f.seconds >= least && f.seconds <= most {
							return nil
						}
					}
					return fmt.Errorf("conntrack shows %+v, want %s with %d to %d s", flows, state, least, most)
				})
			}
			if err := ping(c); err != nil {
				t.Fatal(err)
			}
			check("established", 443, "ESTABLISHED", 431900, 432000)
			c.Close()
			check("closed", 443, "TIME_WAIT", 0, 5)

			direct, err := client.dial(w.private(61000), 0, dialTimeout)
			if err != nil {
				t.Fatal(err)
			}
			defer direct.Close()
			if err := ping(direct); err != nil {
				t.Fatal(err)
			}
			check("direct", 61000, "ESTABLISHED", 900, 1000)

			// A listener that drops every SYN, as one does whose queue is full.
			deaf := server.listen(t, ":61001", echo)
			dropAll(t, deaf)
			w.redirect(t, server, 61001, true)
			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				for {
					select {
					case <-stop:
						return
					default:
						if c, err := client.dial(w.public(), 0, 200*time.Millisecond); err == nil {
							c.Close()
						}
					}
				}
			}()
			check("not answered", 443, "SYN_SENT", 0, 1)
			close(stop)
			<-done
		})
	}
}

// dropAll gives l's socket a filter that drops every packet.
func dropAll(t *testing.T, l net.Listener) {
	t.Helper()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		filter := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &filter[0]})
	})
	if err != nil {
		t.Fatalf("attach a filter: %v", err)
	}
}
