package drain

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// connections opens n accepted ones, or as many as this process may.
func connections(b *testing.B, s server, n int) {
	b.Helper()
	var limit unix.Rlimit // the runtime has raised it as far as it may
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	n = min(n, int(limit.Cur-100)/2)
	open := make([]*net.TCPConn, 0, 2*n)
	b.Cleanup(func() {
		for _, c := range open {
			c.SetLinger(0)
			c.Close()
		}
	})
	for range n {
		client, accepted := s.pair(b, "127.0.0.1")
		open = append(open, client, accepted)
	}
	b.Logf("%d connections", n)
}

// What a switch waits if the old server is idle, settle included, on a quiet
// host and on one with 10,000 connections.
func BenchmarkIdle(b *testing.B) {
	needKernel(b)
	idle := serve(b, "tcp", "[::]:0")
	m := New(Options{})
	quiesce := func(b *testing.B) {
		for b.Loop() {
			if left, err := m.Quiesce(b.Context(), []uint16{idle.port}, time.Minute); err != nil || left != (Left{}) {
				b.Fatal(left, err)
			}
		}
	}
	drain := func(b *testing.B) {
		for b.Loop() {
			if left, err := m.Drain(b.Context(), []uint16{idle.port}, time.Time{}); err != nil || left != (Left{}) {
				b.Fatal(left, err)
			}
		}
	}
	b.Run("quiesce", quiesce)
	b.Run("drain", drain)
	connections(b, serve(b, "tcp", "127.0.0.1:0"), 10_000)
	b.Run("quiesce beside 10000", quiesce)
	b.Run("drain beside 10000", drain)
}

// One look of each kind with 10,000 connections on the port.
func BenchmarkLook(b *testing.B) {
	needKernel(b)
	s := serve(b, "tcp", "127.0.0.1:0")
	connections(b, s, 10_000)
	ports := []uint16{s.port}
	for name, look := range map[string]func() error{
		"queues":    func() error { _, err := readQueues(b.Context(), ports); return err },
		"live":      func() error { _, err := readLive(b.Context(), ports); return err },
		"conntrack": func() error { _, err := readEntries(b.Context(), ports); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := look(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
