package sockdiag

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// connect opens n accepted connections, or as many as this process may, to a
// new listener on addr.
func connect(b *testing.B, addr string, n int) (port uint16) {
	b.Helper()
	var limit unix.Rlimit // the runtime has raised it as far as it may
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	n = min(n, int(limit.Cur-100)/2)
	b.Logf("%d connections", n)
	l := listen(b, "tcp", addr)
	var open []net.Conn
	b.Cleanup(func() {
		for _, c := range open {
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	})
	for range n {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		open = append(open, c)
		s, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		open = append(open, s)
	}
	return portOf(l)
}

// With 10,000 connections of this host to itself: 20,000 sockets.
func BenchmarkScan(b *testing.B) {
	needKernel(b)
	port := connect(b, "127.0.0.1:0", 10_000)
	ctx := b.Context()
	many := make([]uint16, maxCompared)
	for i := range many {
		many[i] = 61000 + uint16(i)
	}
	for _, c := range []struct {
		name string
		scan func() error
	}{
		{"listeners", func() error { _, err := ListenersOn(ctx, port); return err }},
		{"half-open", func() error { _, err := HalfOpen(ctx, port); return err }},
		{"live, all of them", func() error { _, err := Live(ctx, port); return err }},
		{"live, another port", func() error { _, err := Live(ctx, port+1); return err }},
		{"live, 2 ports", func() error { _, err := Live(ctx, many[:2]...); return err }},
		{"live, 64 ports", func() error { _, err := Live(ctx, many...); return err }},
		{"live, 65 ports", func() error { _, err := Live(ctx, append(many, 1)...); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.scan(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
