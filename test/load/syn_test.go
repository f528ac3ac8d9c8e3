package load

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// The wire loses, or swallows, SYNs.
func TestSYN(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for rules in a network namespace of its own")
	}
	addr := answer(t, func(c *net.TCPConn, in *bufio.Reader, n int) {
		request(in)
		respond(c, "v1\n")
	})
	_, port, _ := net.SplitHostPort(addr)
	rule := func(verdict string) {
		rules := "table inet lossy { chain input { type filter hook input priority 0;\n" +
			"tcp dport " + port + " tcp flags & (syn | ack) == syn " + verdict + "\n}; }\n"
		nft := exec.CommandContext(t.Context(), "nft", "-f", "-")
		nft.Stdin = strings.NewReader(rules)
		if out, err := nft.CombinedOutput(); err != nil {
			t.Fatalf("nft: %v: %s", err, out)
		}
	}
	flush := func() {
		if out, err := exec.Command("nft", "delete", "table", "inet", "lossy").CombinedOutput(); err != nil {
			t.Errorf("nft: %v: %s", err, out)
		}
	}
	base := Config{Targets: []string{addr}, Short: 1, Duration: time.Minute, Connections: 1}

	rule("numgen inc mod 2 == 0 drop") // the first, and not the second
	r, err := Run(t.Context(), base, nil)
	flush()
	if err != nil {
		t.Fatal(err)
	}
	c := r.Kinds[Short]
	if diff := cmp.Diff(map[Class]int64{Retransmitted: 1}, c.Failures); diff != "" {
		t.Errorf("first SYN lost: %s", diff)
	}
	if c.Requests != 1 || c.Connects.Max() < 500*time.Millisecond {
		t.Errorf("first SYN lost: %d requests, slowest %v", c.Requests, c.Connects.Max())
	}

	base.Timeout = 300 * time.Millisecond
	rule("drop")
	r, err = Run(t.Context(), base, nil)
	flush()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[Class]int64{TimedOut: 1}, r.Kinds[Short].Failures); diff != "" || r.Failures[0].Phase != Connect {
		t.Errorf("all SYNs lost: %s %v", diff, r.Failures)
	}

	// A connect that is slow for another reason than a lost SYN.
	base.Timeout, base.SlowConnect = 0, time.Nanosecond
	r, err = Run(t.Context(), base, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Kinds[Short]; c.Requests != 1 || r.Failed() != 1 || c.Failures[SlowConnect] != 1 {
		t.Errorf("slow connect: failures %v", r.Failures)
	}

	rule("reject with icmpx host-unreachable")
	r, err = Run(t.Context(), base, nil)
	flush()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[Class]int64{Unreachable: 1}, r.Kinds[Short].Failures); diff != "" {
		t.Errorf("unreachable: %s", diff)
	}
}

// A server that is slow to accept has the kernel drop SYNs.
func TestFullAcceptQueue(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) }); err != nil {
		t.Fatal(err)
	}
	filler, err := net.Dial("tcp", l.Addr().String()) // a backlog of 0 has room for one
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	before := overflows(t)
	done := make(chan *Result, 1)
	go func() {
		r, err := Run(t.Context(), Config{Targets: []string{l.Addr().String()}, Short: 1, Duration: time.Minute, Connections: 1}, nil)
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	for end := time.Now().Add(10 * time.Second); overflows(t) == before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no SYN is dropped")
		}
	}
	for range 2 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer c.Close()
			if request(bufio.NewReader(c)) {
				respond(c, "v1\n")
			}
		}()
	}
	r := <-done
	if diff := cmp.Diff(map[Class]int64{Retransmitted: 1}, r.Kinds[Short].Failures); diff != "" || r.Total().Requests != 1 {
		t.Errorf("%s %v", diff, r.Failures)
	}
}

// overflows is how many connections found an accept queue full.
func overflows(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "nstat", "-asz", "TcpExtListenOverflows").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// The SYN-ACKs are slow, so connects are, with no SYN lost.
func TestSlowConnect(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a queue in a network namespace of its own")
	}
	addr := answer(t, func(c *net.TCPConn, in *bufio.Reader, n int) {
		request(in)
		respond(c, "v1\n")
	})
	_, port, _ := net.SplitHostPort(addr)
	sh := func(script string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "sh", "-ec", script).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	// 200 bytes a second and a burst of two SYN-ACKs; then each waits for 370 ms.
	sh(`tc qdisc add dev lo root handle 1: htb default 10
		tc class add dev lo parent 1: classid 1:10 htb rate 10gbit quantum 60000
		tc class add dev lo parent 1: classid 1:20 htb rate 1600bit burst 100 cburst 100 quantum 60000
		nft -f - <<-END
		table inet slow { chain output { type filter hook output priority 0;
		tcp sport ` + port + ` tcp flags & (syn | ack) == (syn | ack) meta priority set "1:20"
		}; }
		END`)
	defer sh("nft delete table inet slow; tc qdisc del dev lo root")
	for want, threshold := range map[bool]time.Duration{true: 0, false: -1} {
		r, err := Run(t.Context(), Config{Targets: []string{addr}, Short: 1, Duration: time.Minute, Connections: 5, SlowConnect: threshold}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := r.Kinds[Short]
		if (c.Failures[SlowConnect] > 0) != want || c.Failures[SlowConnect] != r.Failed() || c.Requests != 5 || c.Connects.Max() < 200*time.Millisecond {
			t.Errorf("limit %v: %d requests, slowest connect %v, failures %v", threshold, c.Requests, c.Connects.Max(), r.Failures)
		}
	}
}
