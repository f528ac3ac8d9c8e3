package drain

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func entriesOn(t testing.TB, ports ...uint16) map[uint16]int {
	t.Helper()
	n, err := readEntries(t.Context(), distinct(ports))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// statesOn returns the TCP states of the port's entries.
func statesOn(t testing.TB, port uint16) []uint8 {
	t.Helper()
	var states []uint8
	if err := dumpPort(t.Context(), port, func(e entry) { states = append(states, e.state) }); err != nil {
		t.Fatal(err)
	}
	return states
}

func TestNoConntrackNoEntries(t *testing.T) {
	needKernel(t)
	if got := entriesOn(t, 1, 2, 3, 4, 5, 6); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// The entry of a redirected connection replies from the private port.
func TestEntriesOfRedirectedConnections(t *testing.T) {
	needKernel(t)
	s := serve(t, "tcp", "[::]:0")
	redirect(t, 80, s.port)
	for _, addr := range []string{"127.0.0.1", "::1"} {
		t.Run(addr, func(t *testing.T) {
			before := entriesOn(t, s.port)[s.port]
			client := dial(t, addr, 80)
			accepted := s.accept(t)
			many := []uint16{s.port}
			for port := uint16(50000); len(many) <= maxFiltered; port++ {
				many = append(many, port)
			}
			for name, ports := range map[string][]uint16{"filtered": {s.port}, "two": {s.port, 1}, "whole table": many} {
				if diff := cmp.Diff(map[uint16]int{s.port: before + 1}, entriesOn(t, ports...)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			if n := entriesOn(t, 80); len(n) != 0 {
				t.Errorf("%v reply from the public port", n)
			}
			client.Close() // in order: TIME_WAIT leads nowhere
			accepted.Close()
			eventually(t, func() bool { return entriesOn(t, s.port)[s.port] == before })
		})
	}
}

// The kernel applies the filter: without, nothing would be wrong but the cost.
func TestKernelFilters(t *testing.T) {
	needKernel(t)
	s, other := serve(t, "tcp", "127.0.0.1:0"), serve(t, "tcp", "127.0.0.1:0")
	redirect(t, 81, s.port) // has connections tracked
	s.pair(t, "127.0.0.1")
	other.pair(t, "127.0.0.1")
	ports := func(req netlink.Message) []uint16 {
		var ports []uint16
		if err := dump(t.Context(), req, func(e entry) { ports = append(ports, e.port) }); err != nil {
			t.Fatal(err)
		}
		return ports
	}
	if diff := cmp.Diff([]uint16{s.port}, ports(requestPort(unix.AF_INET, s.port))); diff != "" {
		t.Errorf("IPv4 (-want +got):\n%s", diff)
	}
	if got := ports(requestPort(unix.AF_INET6, s.port)); got != nil {
		t.Errorf("IPv6: %v", got)
	}
	if got := ports(requestTable(unix.AF_UNSPEC)); !slices.Contains(got, s.port) || !slices.Contains(got, other.port) {
		t.Errorf("the table has %v, want %d and %d among them", got, s.port, other.port)
	}
}

// What a kernel without conntrack, or without the filter, answers.
func TestRefusals(t *testing.T) {
	needKernel(t)
	noSubsystem := requestTable(unix.AF_UNSPEC)
	noSubsystem.Header.Type = 0xee<<8 | 1
	for name, req := range map[string]netlink.Message{
		"no such subsystem":         noSubsystem,
		"filter for both families":  requestPort(unix.AF_UNSPEC, 80),
		"flag that nobody knows":    withFilterFlags(1 << 31),
		"filter for what is absent": withFilterFlags(1 << 0), // the address
	} {
		err := dump(t.Context(), req, func(entry) {})
		if !isRefused(err) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	if err := dump(t.Context(), requestTable(unix.AF_UNSPEC), func(entry) {}); err != nil {
		t.Errorf("the whole table: %v", err)
	}
}

func withFilterFlags(flags uint32) netlink.Message {
	req := requestTable(unix.AF_INET)
	req.Data = slices.Concat(req.Data,
		nest(ctaTupleReply, nest(ctaTupleProto, attr(ctaProtoNum, []byte{unix.IPPROTO_TCP}))),
		nest(ctaFilter, attr(ctaFilterReplyFlags, binary.NativeEndian.AppendUint32(nil, flags))),
	)
	return req
}

// Each state that leads to the private port, as the kernel makes it.
func TestStatesThatLead(t *testing.T) {
	needKernel(t)
	t.Run("reset by the server", func(t *testing.T) {
		s := serve(t, "tcp", "127.0.0.1:0")
		redirect(t, 82, s.port)
		client := dial(t, "127.0.0.1", 82)
		accepted := s.accept(t)
		accepted.SetLinger(0)
		accepted.Close()
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
			t.Fatalf("read: %v, want a reset", err)
		}
		if diff := cmp.Diff([]uint8{ctClose}, statesOn(t, s.port)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := entriesOn(t, s.port)[s.port]; n != 1 {
			t.Errorf("%d entries lead there, want 1", n)
		}
	})
	t.Run("half open", func(t *testing.T) {
		s := serve(t, "tcp", "127.0.0.1:0")
		redirect(t, 83, s.port)
		dropSynAcks(t, s.port)
		background(t, func(ctx context.Context) { connect(ctx, 83) })
		eventually(t, func() bool { return entriesOn(t, s.port)[s.port] == 1 })
		if diff := cmp.Diff([]uint8{ctSynRecv}, statesOn(t, s.port)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("dropped by a full listener", func(t *testing.T) {
		s := fullListener(t)
		redirect(t, 84, s)
		background(t, func(ctx context.Context) { connect(ctx, 84) })
		eventually(t, func() bool { return entriesOn(t, s)[s] == 1 })
		if diff := cmp.Diff([]uint8{ctSynSent}, statesOn(t, s)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		q, err := readQueues(t.Context(), []uint16{s})
		if err != nil || q[s].halfOpen != 0 {
			t.Errorf("%d half open, %v: the dropped SYN shows in conntrack only", q[s].halfOpen, err)
		}
	})
	t.Run("SYN cookie", func(t *testing.T) {
		if err := os.WriteFile("/proc/sys/net/ipv4/tcp_syncookies", []byte("2"), 0); err != nil {
			t.Fatal(err)
		}
		defer os.WriteFile("/proc/sys/net/ipv4/tcp_syncookies", []byte("1"), 0)
		s := serve(t, "tcp4", "127.0.0.1:0")
		redirect(t, 85, s.port)
		dropSynAcks(t, s.port)
		background(t, func(ctx context.Context) { connect(ctx, 85) })
		eventually(t, func() bool { return entriesOn(t, s.port)[s.port] == 1 })
		live, err := readLive(t.Context(), []uint16{s.port})
		if err != nil || live[s.port] != 0 {
			t.Errorf("%d sockets, %v: a cookie has none", live[s.port], err)
		}
	})
}

// connect opens and closes a connection from this host to itself, or tries to
// until ctx ends.
func connect(ctx context.Context, port uint16) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		c.Close()
	}
	return err
}

// background runs f until the test ends.
func background(t testing.TB, f func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// fullListener returns the port of a listener whose accept queue is full.
func fullListener(t testing.TB) (port uint16) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port = uint16(sa.(*unix.SockaddrInet4).Port)
	dial(t, "127.0.0.1", port) // a backlog of 0 takes one
	return port
}
