package sockdiag

import (
	"io"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDetails(t *testing.T) {
	needKernel(t)
	for _, network := range []string{"tcp4", "tcp6"} {
		t.Run(network, func(t *testing.T) {
			addr := "127.0.0.1:0"
			if network == "tcp6" {
				addr = "[::1]:0"
			}
			l := listen(t, network, addr)
			client, server := pair(t, l, l.Addr().String())
			if _, err := client.Write([]byte("request")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(server, make([]byte, 7)); err != nil {
				t.Fatal(err)
			}
			if _, err := server.Write([]byte("an answer")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(client, make([]byte, 9)); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool {
				all, err := Details(t.Context(), portOf(l), portOf(l)+1)
				if err != nil || len(all) != 1 {
					t.Fatalf("got %+v, %v; want one", all, err)
				}
				d := all[0]
				if d.State != Established || d.Remote != addrPort(client.LocalAddr()) || d.Received != 7 || d.Idle < 0 || !d.Accepted() {
					t.Fatalf("got %+v", d)
				}
				return d.Sent == 9 // once it is acknowledged
			})
		})
	}
	if all, err := Details(t.Context()); len(all) != 0 || err != nil {
		t.Errorf("without a port: %v, %v", all, err)
	}
}

func TestTallies(t *testing.T) {
	needKernel(t)
	l := listen(t, "tcp4", "127.0.0.1:0")
	port := portOf(l)
	pair(t, l, l.Addr().String())
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	eventually(t, func() bool {
		got, err := Tallies(t.Context(), port, port+1)
		if err != nil {
			t.Fatal(err)
		}
		return cmp.Equal(map[uint16]Tally{port: {Accepted: 1, Queued: 2}}, got)
	})
	halfOpen(t, l.Addr().String())
	got, err := Tallies(t.Context(), port)
	if err != nil || got[port].HalfOpen != 1 {
		t.Errorf("%+v, %v; want a half-open one", got, err)
	}
}
