package main

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListenersIn(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:9DD0 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2134242 1 0000000000000000 100 0 0 10 0
   1: 0100007F:9DD0 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 2134243 1 0000000000000000 100 0 0 10 0
   2: 0100007F:9DD1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2134244 1 0000000000000000 100 0 0 10 0
garbage
`
	for port, want := range map[int][]string{40400: {"2134242"}, 40401: {"2134244"}, 1: nil} {
		if diff := cmp.Diff(want, listenersIn(table, port)); diff != "" {
			t.Errorf("port %d (-want +got):\n%s", port, diff)
		}
	}
}

// A listener of a process that is seen is no stranger's.
func TestOutOfSight(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if names := outOfSight(port); len(names) > 0 {
			t.Errorf("%s is our own: %v", l.Addr(), names)
		}
		l.Close()
		if names := outOfSight(port); len(names) > 0 {
			t.Errorf("%s is closed: %v", l.Addr(), names)
		}
	}
}
