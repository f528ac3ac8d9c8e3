package hold

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// holder starts one, and lets it end with the test.
func holder(t *testing.T) (h *Holder, stop func()) {
	t.Helper()
	needKernel(t)
	h = New(slog.New(slog.NewTextHandler(t.Output(), nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx, func() {}) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return h, stop
}

// service is a listener that is led to, by itself: public and private port are
// the same.
type service struct {
	name string
	*net.TCPListener
	port uint16
}

func listen(t *testing.T, name string, backlog int) service {
	t.Helper()
	l, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), backlog) }); err != nil {
		t.Fatal(err)
	}
	return service{name, l.(*net.TCPListener), netip.MustParseAddrPort(l.Addr().String()).Port()}
}

func (s service) hold() nat.Hold {
	return nat.Hold{Service: s.name, Scope: nat.Localhost, Targets: []nat.Target{to("", s.port, nat.DualStack)}}
}

// rules are those in force while the services of held are paused.
func rules(all []service, held ...service) nat.Rules {
	var r nat.Rules
	for _, s := range all {
		target := to("", s.port, nat.DualStack)
		target.Port = s.port
		r.Redirects = append(r.Redirects, nat.Redirect{Service: s.name, Activation: "a", Scope: nat.Localhost, Targets: []nat.Target{target}})
	}
	for _, s := range held {
		r.Holds = append(r.Holds, s.hold())
	}
	return r
}

// pause sends connections of services to h.
func pause(t *testing.T, h *Holder, all []service, held ...service) {
	t.Helper()
	r := rules(all, held...)
	number, err := h.Prepare(r.Holds)
	if err != nil {
		t.Fatal(err)
	}
	queueRules(t, "-F")
	for _, s := range held {
		queueRules(t, "-A", "-p", "tcp", "--syn", "--dport", strconv.Itoa(int(s.port)), "-j", "NFQUEUE", "--queue-num", strconv.Itoa(int(number)), "--queue-bypass")
	}
	t.Cleanup(func() { queueRules(t, "-F") })
	h.Settle(r)
}

func queueRules(t *testing.T, verb string, args ...string) {
	t.Helper()
	for _, tool := range []string{"iptables", "ip6tables"} {
		command(t, tool, append([]string{"-w", "5", "-t", "raw", verb, "OUTPUT"}, args...)...)
	}
}

// dials connects n times at once, and returns how each ended, once all have.
func (s service) dials(n int) <-chan error {
	ended := make(chan error, n)
	for i := range n {
		addr := []string{"127.0.0.1", "::1"}[i%2]
		go func() {
			d := net.Dialer{Timeout: 20 * time.Second}
			c, err := d.Dial("tcp", net.JoinHostPort(addr, strconv.Itoa(int(s.port))))
			if err == nil {
				c.SetReadDeadline(time.Now().Add(20 * time.Second))
				_, err = c.Read(make([]byte, 1)) // until it is accepted, and closed
				c.Close()
			}
			ended <- err
		}()
	}
	return ended
}

// serve accepts and closes until the listener is closed.
func (s service) serve() {
	for {
		c, err := s.Accept()
		if err != nil {
			return
		}
		c.Close()
	}
}

// waits waits until n connections of the service wait.
func (s service) waits(t *testing.T, h *Holder, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); h.Waiting()[s.name].Now != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v, want %d", h.Waiting()[s.name], n)
		}
	}
}

// all waits for the end of n connections, which have to have been served.
func served(t *testing.T, ended <-chan error, n int) {
	t.Helper()
	for range n {
		if err := <-ended; err != nil && !strings.Contains(err.Error(), "EOF") {
			t.Error(err)
		}
	}
}

func overflows(t *testing.T) (n int64) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/net/netstat")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		for j, name := range names {
			switch name {
			case "ListenOverflows", "ListenDrops", "TCPSynRetrans", "TCPReqQFullDoCookies":
				v, _ := strconv.ParseInt(values[j], 10, 64)
				n += v
			}
		}
	}
	return n
}

// Many connections wait, and go on through an accept queue that has room for
// few, without one being dropped.
func TestReleaseFitsTheAcceptQueue(t *testing.T) {
	for _, backlog := range []int{0, 1, 5, 128} {
		t.Run(fmt.Sprint(backlog), func(t *testing.T) {
			h, _ := holder(t)
			web := listen(t, "web", backlog)
			go web.serve()
			before := overflows(t)
			pause(t, h, []service{web}, web)
			const n = 300
			ended := web.dials(n)
			web.waits(t, h, n)
			done, err := h.Release(t.Context(), "web")
			if err != nil || done.Connections != n || done.Left != 0 {
				t.Errorf("%+v, %v", done, err)
			}
			served(t, ended, n)
			if lost := overflows(t) - before; lost != 0 {
				t.Errorf("%d dropped or sent again", lost)
			}
			t.Logf("backlog %d: %d let go in %v", backlog, done.Connections, done.Took)
		})
	}
}

// One service is paused longer than another, a third not at all.
func TestServicesAreHeldApart(t *testing.T) {
	h, _ := holder(t)
	a, b, c := listen(t, "a", 100), listen(t, "b", 100), listen(t, "c", 100)
	all := []service{a, b, c}
	for _, s := range all {
		go s.serve()
	}
	pause(t, h, all, a, b)
	ofA, ofB := a.dials(20), b.dials(30)
	a.waits(t, h, 20)
	b.waits(t, h, 30)
	served(t, c.dials(10), 10)
	if done, err := h.Release(t.Context(), "a"); err != nil || done.Connections != 20 {
		t.Errorf("%+v, %v", done, err)
	}
	served(t, ofA, 20)
	served(t, a.dials(10), 10) // the rule is still there
	pause(t, h, all, b)
	served(t, a.dials(10), 10)
	b.waits(t, h, 30)
	if w := h.Waiting()["a"]; w != (Waiting{Since: 30}) {
		t.Errorf("%+v", w)
	}
	if _, err := h.Release(t.Context(), "a"); !errors.Is(err, ErrNotHeld) {
		t.Errorf("got %v", err)
	}
	pause(t, h, all) // all at once
	served(t, ofB, 30)
}

// A server that does not accept gets no more than it has room for, and what is
// left is held again when the release is given up.
func TestReleaseWaitsForTheServer(t *testing.T) {
	h, _ := holder(t)
	web := listen(t, "web", 5)
	pause(t, h, []service{web}, web)
	before := overflows(t)
	ended := web.dials(20)
	web.waits(t, h, 20)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	done, err := h.Release(ctx, "web")
	if !errors.Is(err, context.DeadlineExceeded) || done.Connections != 5 || done.Left != 15 {
		t.Errorf("%+v, %v", done, err)
	}
	go web.serve()
	web.waits(t, h, 15)
	if done, err := h.Release(t.Context(), "web"); err != nil || done.Connections != 20 {
		t.Errorf("%+v, %v", done, err)
	}
	served(t, ended, 20)
	if lost := overflows(t) - before; lost != 0 {
		t.Errorf("%d dropped or sent again", lost)
	}
}

// Another program has the queue that is tried first.
func TestNumberIsTaken(t *testing.T) {
	needKernel(t)
	other, err := bind(1)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	h, _ := holder(t)
	web := listen(t, "web", 5)
	go web.serve()
	pause(t, h, []service{web}, web)
	if h.queue.number != other.number+1 {
		t.Errorf("number %d, while another has %d", h.queue.number, other.number)
	}
	ended := web.dials(4)
	web.waits(t, h, 4)
	if _, err := h.Release(t.Context(), "web"); err != nil {
		t.Error(err)
	}
	served(t, ended, 4)
}

// When a hook of netfilter is removed the kernel drops what waits. The clients
// send it again, it waits again, and none is let go twice or forgotten.
func TestDroppedSYNsComeBack(t *testing.T) {
	h, _ := holder(t)
	web := listen(t, "web", 100)
	go web.serve()
	pause(t, h, []service{web}, web)
	ended := web.dials(10)
	web.waits(t, h, 10)
	before := overflows(t)
	command(t, "nft", "add table inet other; add chain inet other c { type filter hook input priority 0; }")
	command(t, "nft", "delete table inet other")
	for end := time.Now().Add(10 * time.Second); overflows(t) < before+10; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no SYN was sent again: the kernel has not dropped them")
		}
	}
	web.waits(t, h, 10)
	if done, err := h.Release(t.Context(), "web"); err != nil || done.Connections != 10 {
		t.Errorf("%+v, %v", done, err)
	}
	served(t, ended, 10)
}

// When the holder ends, what comes passes, and what waited comes back.
func TestNobodyHolds(t *testing.T) {
	h, stop := holder(t)
	web := listen(t, "web", 100)
	go web.serve()
	pause(t, h, []service{web}, web)
	ended := web.dials(10)
	web.waits(t, h, 10)
	stop()
	began := time.Now()
	served(t, web.dials(10), 10)
	if took := time.Since(began); took > 900*time.Millisecond {
		t.Errorf("later ones took %v", took)
	}
	served(t, ended, 10)
}

// A queue that is lost is bound again with the next rules, and what comes then
// waits again.
func TestQueueIsLost(t *testing.T) {
	needKernel(t)
	h := New(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	lost, done := make(chan struct{}, 1), make(chan error, 1)
	go func() { done <- h.Run(ctx, func() { lost <- struct{}{} }) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	web := listen(t, "web", 100)
	go web.serve()
	pause(t, h, []service{web}, web)
	ended := web.dials(4)
	web.waits(t, h, 4)
	h.queue.close()
	<-lost
	if w := h.Waiting()["web"]; w.Now != 0 {
		t.Errorf("%+v", w)
	}
	pause(t, h, []service{web}, web)
	web.waits(t, h, 4) // they have come again
	if out, err := h.Release(ctx, "web"); err != nil || out.Connections != 4 {
		t.Errorf("%+v, %v", out, err)
	}
	served(t, ended, 4)
}

// Clients that have vanished take room for a while, and do not keep others from
// going on.
func TestSilentClients(t *testing.T) {
	h, _ := holder(t)
	web := listen(t, "web", 5)
	go web.serve()
	pause(t, h, []service{web}, web)
	command(t, "nft", fmt.Sprintf(`add table inet silent; add chain inet silent c { type filter hook output priority 0; }
		add rule inet silent c ip daddr 127.0.0.9 tcp sport %d drop`, web.port))
	defer command(t, "nft", "delete table inet silent")
	ctx, cancel := context.WithCancel(t.Context())
	var silent sync.WaitGroup
	defer silent.Wait()
	defer cancel()
	for range 7 {
		silent.Go(func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
			if c, err := d.DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(web.port)))); err == nil {
				t.Error("a silent client is connected")
				c.Close()
			}
		})
	}
	web.waits(t, h, 7)
	ended := web.dials(50)
	web.waits(t, h, 57)
	done, err := h.Release(t.Context(), "web")
	if err != nil || done.Connections < 57 {
		t.Errorf("%+v, %v", done, err)
	}
	t.Logf("%d let go in %v", done.Connections, done.Took)
	served(t, ended, 50)
}

// More than can wait are not refused either: the kernel drops their SYNs, and
// they come again.
func TestQueueIsFull(t *testing.T) {
	h, _ := holder(t)
	h.most = 4
	web := listen(t, "web", 100)
	go web.serve()
	pause(t, h, []service{web}, web)
	ended := web.dials(10)
	web.waits(t, h, 4)
	if done, err := h.Release(t.Context(), "web"); err != nil || done.Connections != 4 {
		t.Errorf("%+v, %v", done, err)
	}
	pause(t, h, []service{web})
	served(t, ended, 10)
}
