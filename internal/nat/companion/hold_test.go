package companion

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
)

func hold(service string, scope nat.Scope, until time.Duration, targets ...nat.Target) Hold {
	return Hold{Hold: nat.Hold{Service: service, Scope: scope, Until: until, Targets: targets}, Queue: 21335}
}

func endpoint(addr string, port uint16, f nat.Family) nat.Target {
	e := nat.Endpoint{Port: port}
	if addr != "" {
		e.Addr = netip.MustParseAddr(addr)
	}
	return nat.Target{Endpoint: e, Families: f}
}

func TestHolds(t *testing.T) {
	n := newNamespace(t)
	table := n.open(t, Options{})
	web := hold("web", nat.Everyone, 30*time.Second, endpoint("", 443, nat.DualStack), endpoint("192.0.2.1", 80, nat.DualStack))
	api := hold("api", nat.Network, time.Minute, endpoint("2001:db8::1", 8080, nat.IPv6))
	steps := []struct {
		name  string
		holds []Hold
		rules [2]int // of hold-prerouting and hold-output
	}{
		{"none", nil, [2]int{0, 0}},
		{"one", []Hold{web}, [2]int{2, 2}},
		{"two", []Hold{web, api}, [2]int{3, 2}},
		{"extended", []Hold{hold("web", nat.Everyone, 40*time.Second, web.Targets...), api}, [2]int{3, 2}},
		{"one of two", []Hold{api}, [2]int{1, 0}},
		{"none again", nil, [2]int{0, 0}},
	}
	for _, step := range steps {
		change, err := table.Apply(t.Context(), []uint16{61000}, nil, step.holds...)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if !change.Changed || change.Repaired {
			t.Errorf("%s: got %+v", step.name, change)
		}
		if change, err = table.Apply(t.Context(), []uint16{61000}, nil, step.holds...); err != nil || change != (nat.Change{}) {
			t.Errorf("%s, again: got %+v, %v", step.name, change, err)
		}
		for i, name := range []string{holdFromNetwork, holdFromHost} {
			text := n.run(t, "nft", "list", "chain", "inet", Name, name)
			if got := strings.Count(text, holdComment); got != step.rules[i] {
				t.Errorf("%s: %d rules in %s, want %d:\n%s", step.name, got, name, step.rules[i], text)
			}
		}
		var want []nat.Held
		for _, h := range step.holds {
			want = append(want, nat.Held{Key: nat.Key(h.Service), Until: h.Until})
		}
		got, err := table.Holds(t.Context())
		if err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s: %v, %v", step.name, cmp.Diff(want, got), err)
		}
	}
	// While something is held, the rest changes, and stays.
	for _, private := range [][]uint16{{61000, 61001}, {61001}} {
		if _, err := table.Apply(t.Context(), private, private, web, api); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := table.Read(t.Context()); err != nil || !s.Intact {
		t.Errorf("got %+v, %v", s, err)
	}
}
