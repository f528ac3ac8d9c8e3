package sockdiag

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A kernel that no longer knows the older request is asked family by family,
// and shows the same.
func TestBothRequestsShowTheSame(t *testing.T) {
	needKernel(t)
	var ports []uint16
	for _, addr := range []string{"127.0.0.1", "::1", "::"} {
		l := listen(t, "tcp", net.JoinHostPort(addr, "0"))
		ports = append(ports, portOf(l))
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	type seen struct {
		Listeners []Listener
		Live      map[uint16]int
	}
	look := func() (s seen) {
		var err error
		if s.Listeners, err = ListenersOn(t.Context(), ports...); err != nil {
			t.Fatal(err)
		}
		if s.Live, err = Live(t.Context(), ports...); err != nil {
			t.Fatal(err)
		}
		return s
	}
	old := familywise.Load()
	defer familywise.Store(old)
	familywise.Store(true)
	two := look()
	familywise.Store(false)
	one := look()
	if d := cmp.Diff(two, one, cmp.Comparer(func(a, b Listener) bool { return a == b })); d != "" {
		t.Errorf("two requests (-), one (+):\n%s", d)
	}
	if len(one.Listeners) != len(ports) || len(one.Live) != len(ports) {
		t.Errorf("on %d ports: %+v", len(ports), one)
	}
	if familywise.Load() && !old {
		t.Log("this kernel knows only the newer request")
	}
}
