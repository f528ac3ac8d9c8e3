package drain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func quiesce(t testing.TB, port uint16, max time.Duration) (Left, time.Duration) {
	t.Helper()
	begun := time.Now()
	left, err := New(Options{}).Quiesce(t.Context(), []uint16{port}, max)
	if err != nil {
		t.Fatal(err)
	}
	return left, time.Since(begun)
}

func TestQuiesceOfSilentListeners(t *testing.T) {
	needKernel(t)
	for _, c := range []struct{ network, addr string }{
		{"tcp4", "127.0.0.1:0"}, {"tcp6", "[::1]:0"}, {"tcp", "[::]:0"},
	} {
		s := serve(t, c.network, c.addr)
		left, took := quiesce(t, s.port, 30*time.Second)
		if left != (Left{}) || took < settle {
			t.Errorf("%s %s: left %+v after %s", c.network, c.addr, left, took)
		}
	}
	gone := serve(t, "tcp", "[::]:0")
	gone.Close()
	if left, _ := quiesce(t, gone.port, 30*time.Second); left != (Left{}) {
		t.Errorf("without a listener: left %+v", left)
	}
}

func TestQuiesceWaitsForAccept(t *testing.T) {
	needKernel(t)
	for _, c := range []struct{ network, listen, client string }{
		{"tcp4", "127.0.0.1:0", "127.0.0.1"},
		{"tcp6", "[::1]:0", "::1"},
		{"tcp", "[::]:0", "127.0.0.1"},
		{"tcp", "[::]:0", "::1"},
	} {
		t.Run(c.listen+" by "+c.client, func(t *testing.T) {
			s := serve(t, c.network, c.listen)
			dial(t, c.client, s.port)
			dial(t, c.client, s.port)
			left, _ := quiesce(t, s.port, 60*time.Millisecond)
			if diff := cmp.Diff(Left{Unaccepted: 2, Expired: true}, left); diff != "" {
				t.Errorf("before (-want +got):\n%s", diff)
			}
			accepted := make(chan struct{})
			time.AfterFunc(100*time.Millisecond, func() {
				defer close(accepted)
				s.accept(t)
				s.accept(t)
			})
			left, took := quiesce(t, s.port, 30*time.Second)
			<-accepted
			if left != (Left{}) || took < 100*time.Millisecond {
				t.Errorf("left %+v after %s, want nothing once both were accepted", left, took)
			}
		})
	}
}

func TestQuiesceWaitsForHandshakes(t *testing.T) {
	needKernel(t)
	for _, c := range []struct{ network, listen string }{{"tcp4", "127.0.0.1:0"}, {"tcp", "[::]:0"}} {
		t.Run(c.listen, func(t *testing.T) {
			s := serve(t, c.network, c.listen)
			pass := dropSynAcks(t, s.port)
			background(t, func(ctx context.Context) { connect(ctx, s.port) })
			eventually(t, func() bool {
				q, err := readQueues(t.Context(), []uint16{s.port})
				return err != nil || q[s.port].halfOpen == 1
			})
			left, _ := quiesce(t, s.port, 60*time.Millisecond)
			if diff := cmp.Diff(Left{HalfOpen: 1, Expired: true}, left); diff != "" {
				t.Errorf("half open (-want +got):\n%s", diff)
			}
			pass() // the next SYN-ACK, within a second, completes it
			background(t, func(context.Context) { s.accept(t) })
			if left, took := quiesce(t, s.port, 30*time.Second); left != (Left{}) {
				t.Errorf("left %+v after %s", left, took)
			}
		})
	}
}

func TestQuiesceEndsWithItsListener(t *testing.T) {
	needKernel(t)
	s := serve(t, "tcp", "[::]:0")
	dial(t, "127.0.0.1", s.port)
	time.AfterFunc(50*time.Millisecond, func() { s.Close() })
	if left, took := quiesce(t, s.port, 30*time.Second); left != (Left{}) {
		t.Errorf("left %+v after %s", left, took)
	}
}

func drain(t testing.TB, port uint16, max time.Duration) (Left, time.Duration) {
	t.Helper()
	begun := time.Now()
	left, err := New(Options{}).Drain(t.Context(), []uint16{port}, begun.Add(max))
	if err != nil {
		t.Fatal(err)
	}
	return left, time.Since(begun)
}

func TestDrainWaitsForConnections(t *testing.T) {
	needKernel(t)
	for _, c := range []struct{ network, listen, client string }{
		{"tcp4", "127.0.0.1:0", "127.0.0.1"},
		{"tcp6", "[::1]:0", "::1"},
		{"tcp", "[::]:0", "127.0.0.1"},
	} {
		t.Run(c.listen+" by "+c.client, func(t *testing.T) {
			s := serve(t, c.network, c.listen)
			client, accepted := s.pair(t, c.client)
			waiting := dial(t, c.client, s.port) // not accepted: counts as well
			n, err := New(Options{}).Connections(t.Context(), []uint16{s.port})
			if err != nil || n != 2 {
				t.Errorf("Connections: %d, %v; want 2", n, err)
			}
			left, _ := drain(t, s.port, 50*time.Millisecond)
			if diff := cmp.Diff(Left{Live: 2, Expired: true}, left); diff != "" {
				t.Errorf("at the deadline (-want +got):\n%s", diff)
			}
			time.AfterFunc(100*time.Millisecond, func() {
				client.Close()
				accepted.Close()
				waiting.Close()
				s.accept(t).Close()
			})
			left, took := drain(t, s.port, 30*time.Second)
			if left != (Left{}) || took < 100*time.Millisecond {
				t.Errorf("left %+v after %s", left, took)
			}
		})
	}
}

// A client that keeps its end open after the server has closed would hold
// FIN_WAIT2, and so the drain, for a minute.
func TestDrainDoesNotWaitForClosedConnections(t *testing.T) {
	needKernel(t)
	s := serve(t, "tcp", "127.0.0.1:0")
	_, accepted := s.pair(t, "127.0.0.1")
	accepted.Close()
	if left, took := drain(t, s.port, 20*time.Second); left != (Left{}) {
		t.Errorf("left %+v after %s", left, took)
	}
}

// sysctl sets a value of the network namespace for the test.
func sysctl(t testing.TB, name, value string) {
	t.Helper()
	path := "/proc/sys/net/" + name
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.WriteFile(path, before, 0) })
}

// A source port whose last connection the old server has reset is led to it
// until its entry is gone; when Drain returns, it is led to the new one.
func TestDrainWaitsForPoisonedEntries(t *testing.T) {
	needKernel(t)
	before, after := serve(t, "tcp", "127.0.0.1:0"), serve(t, "tcp", "127.0.0.1:0")
	r := redirect(t, 90, before.port)
	sysctl(t, "netfilter/nf_conntrack_tcp_timeout_close", "1")
	client := dial(t, "127.0.0.1", 90)
	accepted := before.accept(t)
	accepted.SetLinger(0)
	accepted.Close()
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Fatalf("read: %v, want a reset", err)
	}
	client.Close()
	r.lead(t, after.port)

	left, took := drain(t, before.port, time.Minute)
	before.Close()
	if left != (Left{}) || took < 300*time.Millisecond {
		t.Errorf("left %+v after %s, want nothing after the entry's second", left, took)
	}
	from := net.Dialer{LocalAddr: client.LocalAddr(), Timeout: 5 * time.Second}
	again, err := from.Dial("tcp", "127.0.0.1:90")
	if err != nil {
		t.Fatal("the source port is still led to the old server:", err)
	}
	defer again.Close()
	after.accept(t)
}

// A client that vanished leaves an entry for days.
func TestDrainTellsOfEntries(t *testing.T) {
	needKernel(t)
	s := serve(t, "tcp", "127.0.0.1:0")
	redirect(t, 91, s.port)
	_, accepted := dial(t, "127.0.0.1", 91), s.accept(t)
	command(t, "nft", fmt.Sprintf(`add table inet gone; add chain inet gone out { type filter hook output priority -400; }
		add rule inet gone out tcp sport %d drop`, s.port)) // before conntrack sees it
	t.Cleanup(func() { command(t, "nft", "delete table inet gone") })
	accepted.SetLinger(0)
	accepted.Close()
	left, _ := drain(t, s.port, 500*time.Millisecond) // of the 5 s that it may take
	if diff := cmp.Diff(Left{Entries: 1, Expired: true}, left); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A SYN that a full queue dropped is led to the old server when it is sent again,
// until its entry is gone. The timeouts that come with the rules see to that, and
// the kernel's counters tell that there may be one.
func TestDrainWaitsForDroppedHandshakes(t *testing.T) {
	needKernel(t)
	s := serve(t, "tcp", "127.0.0.1:0")
	shorten(t, s)
	redirect(t, 93, s.port)
	sysctl(t, "netfilter/nf_conntrack_tcp_timeout_syn_sent", "4")
	before, err := readWrong()
	if err != nil {
		t.Fatal(err)
	}
	var open []net.Conn
	for now := before; now == before; {
		if len(open) > 100 {
			t.Fatal("the queue does not fill")
		}
		d := net.Dialer{Timeout: 200 * time.Millisecond} // less than the SYN takes to be sent again
		c, err := d.Dial("tcp", "127.0.0.1:93")
		if err == nil {
			open = append(open, c)
		}
		if now, err = readWrong(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range open { // in order: TIME_WAIT leads nowhere
		c.Close()
		s.accept(t).Close()
	}
	for err == nil { // those that were given up as they were being accepted
		var c *net.TCPConn
		s.SetDeadline(time.Now().Add(100 * time.Millisecond))
		if c, err = s.AcceptTCP(); err == nil {
			c.Close()
		}
	}
	ports := []uint16{s.port}
	m := New(Options{Timeouts: func() bool { return true }})
	m.left.note(ports)
	m.left.since[s.port] = time.Now().Add(-time.Minute)
	if n := entriesOn(t, s.port); n[s.port] == 0 {
		t.Fatal("the machine was too slow: the entry of the dropped SYN is gone already")
	}
	if left, err := m.Drain(t.Context(), ports, time.Now().Add(time.Minute)); err != nil || left != (Left{}) {
		t.Errorf("left %+v, %v", left, err)
	}
	if n := entriesOn(t, s.port); len(n) != 0 {
		t.Errorf("entries %v are left", n)
	}
}

// The whole of it: a server is taken away, as abruptly as can be, once Quiesce
// and Drain have returned, and no client notices.
func TestSwitchLosesNothing(t *testing.T) {
	needKernel(t)
	const switches, clients = 4, 8
	current := echo(t)
	r := redirect(t, 92, current.port)
	ctx, cancel := context.WithCancel(t.Context())
	var (
		wg       sync.WaitGroup
		requests atomic.Int64
	)
	for i := range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				// Half of the clients send several requests a connection.
				if err := ask(1+i%2*20, &requests); err != nil {
					t.Error(err)
				}
			}
		})
	}
	m := New(Options{})
	for range switches {
		next := echo(t)
		r.lead(t, next.port)
		ports := []uint16{current.port}
		if left, err := m.Quiesce(t.Context(), ports, 30*time.Second); err != nil || left != (Left{}) {
			t.Errorf("quiesce: left %+v, %v", left, err)
		}
		if left, err := m.Drain(t.Context(), ports, time.Now().Add(30*time.Second)); err != nil || left != (Left{}) {
			t.Errorf("drain: left %+v, %v", left, err)
		}
		current.kill()
		current = next
	}
	cancel()
	wg.Wait()
	t.Logf("%d requests over %d switches", requests.Load(), switches)
	if requests.Load() == 0 {
		t.Error("no request was made")
	}
}

// ask sends so many requests over one connection to the public port.
func ask(n int, requests *atomic.Int64) error {
	c, err := net.DialTimeout("tcp", "127.0.0.1:92", 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	for range n {
		if _, err := c.Write([]byte{'?'}); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			return err
		}
		requests.Add(1)
		time.Sleep(time.Millisecond)
	}
	return nil
}

// echoServer answers each byte with itself.
type echoServer struct {
	server
	mu   sync.Mutex
	open map[*net.TCPConn]bool
	wg   sync.WaitGroup
}

func echo(t testing.TB) *echoServer {
	t.Helper()
	e := &echoServer{server: serve(t, "tcp", "127.0.0.1:0"), open: make(map[*net.TCPConn]bool)}
	e.wg.Go(func() {
		for {
			c, err := e.AcceptTCP()
			if err != nil {
				return
			}
			e.mu.Lock()
			e.open[c] = true
			e.mu.Unlock()
			e.wg.Go(func() {
				io.Copy(c, c)
				c.Close()
				e.mu.Lock()
				delete(e.open, c)
				e.mu.Unlock()
			})
		}
	})
	t.Cleanup(e.kill)
	return e
}

// kill ends it as SIGKILL would, with a reset of every connection.
func (e *echoServer) kill() {
	e.Close()
	e.mu.Lock()
	for c := range e.open {
		c.SetLinger(0)
		c.Close()
	}
	e.mu.Unlock()
	e.wg.Wait()
}
