package switcheroo

import (
	"net"
	"testing"
)

// A listener of a process that is seen is not out of sight, and neither is none.
func TestHeldOutOfSight(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		port := uint16(l.Addr().(*net.TCPAddr).Port)
		if hidden, err := heldOutOfSight(t.Context(), port); hidden || err != nil {
			t.Errorf("%s is our own: %v, %v", l.Addr(), hidden, err)
		}
		l.Close()
		if hidden, err := heldOutOfSight(t.Context(), port); hidden || err != nil {
			t.Errorf("%s is closed: %v, %v", l.Addr(), hidden, err)
		}
	}
}
