package hold

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

func to(endpoint string, port uint16, f nat.Family) nat.Target {
	e := nat.Endpoint{Port: port}
	if endpoint != "" {
		e.Addr = netip.MustParseAddr(endpoint)
	}
	return nat.Target{Endpoint: e, Families: f}
}

func TestWants(t *testing.T) {
	l := newLine()
	l.hold = nat.Hold{Scope: nat.Network, Targets: []nat.Target{
		to("", 443, nat.IPv4), to("192.0.2.1", 80, nat.DualStack), to("2001:db8::1", 80, nat.DualStack)}}
	tests := map[string]struct {
		hook byte
		to   string
		want bool
	}{
		"every address":                   {unix.NF_INET_PRE_ROUTING, "198.51.100.1:443", true},
		"every address, the other family": {unix.NF_INET_PRE_ROUTING, "[2001:db8::1]:443", false},
		"an address":                      {unix.NF_INET_PRE_ROUTING, "192.0.2.1:80", true},
		"an IPv6 address":                 {unix.NF_INET_PRE_ROUTING, "[2001:db8::1]:80", true},
		"another address":                 {unix.NF_INET_PRE_ROUTING, "192.0.2.2:80", false},
		"another port":                    {unix.NF_INET_PRE_ROUTING, "192.0.2.1:81", false},
		"from this host":                  {unix.NF_INET_LOCAL_OUT, "192.0.2.1:80", false},
	}
	for name, tt := range tests {
		if got := l.wants(tt.hook, netip.MustParseAddrPort(tt.to)); got != tt.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// client is the flow of one of several clients.
func client(n uint16, port uint16) flow {
	return flow{netip.AddrPortFrom(from4, 40000+n), netip.AddrPortFrom(to4, port)}
}

func TestLine(t *testing.T) {
	l := newLine()
	l.hold.Targets = []nat.Target{to("", 443, nat.DualStack), to("", 80, nat.DualStack)}
	lead := func(port uint16, f nat.Family, private uint16) nat.Target {
		t := to("", port, f)
		t.Port = private
		return t
	}
	// A family may have a listener of its own.
	l.leads = []nat.Target{lead(443, nat.IPv6, 61002), lead(443, nat.IPv4, 61000), lead(80, nat.DualStack, 61001)}
	began := time.Now()
	for i, f := range []flow{client(1, 443), client(2, 443), client(3, 80), client(4, 443), client(5, 9)} {
		if _, repeated := l.take(f, uint32(i+1), began); repeated {
			t.Errorf("%v is new", f)
		}
	}
	// The second SYN of the first client takes its place, at the head.
	if before, repeated := l.take(client(1, 443), 6, began); !repeated || before != 1 {
		t.Errorf("got %d, %v", before, repeated)
	}
	steps := []struct {
		room map[uint16]int
		want []uint32
	}{
		{map[uint16]int{61000: 1, 61001: 0}, []uint32{6, 5}},      // nothing leads from port 9
		{map[uint16]int{61000: -2, 61001: 3}, []uint32{3}},        // who can go does not wait for others
		{map[uint16]int{61000: 0}, nil},                           //
		{map[uint16]int{61001: 0}, []uint32{2, 4}},                // no listener any more: they are refused
		{map[uint16]int{61000: 10, 61001: 10}, nil},               // nobody is left
		{map[uint16]int{61000: 10, 61001: 10, 1: 0}, []uint32{7}}, // one who came back
	}
	for i, step := range steps {
		if i == len(steps)-1 {
			if _, repeated := l.take(client(1, 443), 7, began); repeated {
				t.Error("it has gone on")
			}
		}
		var got []uint32
		for _, w := range l.leave(step.room, began.Add(time.Second)) {
			got = append(got, w.id)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("step %d: %s", i, diff)
		}
	}
	if want := (Released{Connections: 6, Longest: time.Second}); l.letGo != want || len(l.of) != 0 {
		t.Errorf("got %+v, %d left", l.letGo, len(l.of))
	}
}
