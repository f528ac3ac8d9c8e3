package controller

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// The daemon is killed when it has switched and not yet saved that, and before
// its successor looks another program flushes the rules of one family. What is
// left says what is current, but not all that it serves: the other family must
// not be without it until its listeners have been read again.
func TestOneFamilyIsFlushedBeforeTheSwitchIsSaved(t *testing.T) {
	for i, family := range []nat.Family{nat.IPv4, nat.IPv6} {
		t.Run(fmt.Sprint(family), func(t *testing.T) {
			bubble(t, func(h *host) {
				h.run()
				h.start(v1, app{})
				h.deployed(v1)
				hook, _ := fails(errors.New("killed before that"), "Save")
				h.hook(hook)
				h.start(v2, app{})
				h.serves("myapp", v2)
				h.kill()
				h.hook(nil)
				h.do(func() { h.kernel.families[i] = map[string]installed{} })
				var applied []nat.Family
				h.hook(func(call string) error {
					if call == "Lock" && h.kernel.applies > 0 {
						applied = append(applied, h.inFamilies("myapp"))
					}
					return nil
				})
				h.do(func() { h.kernel.applies = 0 })
				h.run()
				h.until("taken over", time.Second, func() bool { return h.logged("taken over as found in the rules") == 1 })
				h.deployed(v2, v1)
				h.hook(nil)
				if len(applied) == 0 || applied[0] != nat.DualStack {
					t.Errorf("after each look of the new daemon at the rules they serve %v", applied)
				}
				if got := h.serving("myapp"); got != v2 {
					t.Errorf("%q serves", got)
				}
			})
		})
	}
}

func TestComplete(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::1")
	target := func(addr netip.Addr, public, private uint16, families nat.Family) nat.Target {
		return nat.Target{Endpoint: nat.Endpoint{Addr: addr, Port: public}, Port: private, Families: families}
	}
	every := netip.Addr{}
	for name, c := range map[string]struct {
		found, before, want []nat.Target
		listen              []config.Listen
		ports               map[string]uint16
	}{
		"a family": {
			found:  []nat.Target{target(every, 443, 7002, nat.IPv6)},
			before: []nat.Target{target(every, 443, 7001, nat.DualStack)},
			listen: []config.Listen{{Port: 443}},
			want:   []nat.Target{target(every, 443, 7002, nat.DualStack)},
		},
		"nothing is missing": {
			found:  []nat.Target{target(every, 443, 7002, nat.DualStack)},
			before: []nat.Target{target(every, 443, 7001, nat.IPv4), target(v6, 443, 7001, nat.IPv6)},
			listen: []config.Listen{{Port: 443}},
			want:   []nat.Target{target(every, 443, 7002, nat.DualStack)},
		},
		"an address of the other family": {
			found:  []nat.Target{target(v6, 443, 7002, nat.IPv6)},
			before: []nat.Target{target(v4, 443, 7001, nat.IPv4), target(v6, 443, 7001, nat.IPv6)},
			listen: []config.Listen{{Addr: v4, Port: 443}, {Addr: v6, Port: 443}},
			want:   []nat.Target{target(v6, 443, 7002, nat.IPv6), target(v4, 443, 7002, nat.IPv4)},
		},
		"an endpoint with a port of its own": {
			found:  []nat.Target{target(v6, 443, 7002, nat.IPv6)},
			before: []nat.Target{target(v4, 80, 7001, nat.IPv4), target(v6, 443, 7001, nat.IPv6)},
			listen: []config.Listen{{Name: "http", Addr: v4, Port: 80}, {Name: "https", Addr: v6, Port: 443}},
			ports:  map[string]uint16{"http": 8002, "https": 7002},
			want:   []nat.Target{target(v6, 443, 7002, nat.IPv6), target(v4, 80, 8002, nat.IPv4)},
		},
		"what its file asks for no longer": {
			found:  []nat.Target{target(every, 443, 7002, nat.DualStack)},
			before: []nat.Target{target(every, 443, 7001, nat.DualStack), target(every, 80, 7001, nat.DualStack)},
			listen: []config.Listen{{Port: 443}},
			want:   []nat.Target{target(every, 443, 7002, nat.DualStack)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := Activation{Targets: c.found, Instance: config.Instance{Listen: c.listen, Ports: c.ports}}
			a.complete(c.before)
			if diff := cmp.Diff(c.want, a.Targets, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The rules of one family are hooked in for the network only: the backend
// finds one activation twice.
func TestMergedFound(t *testing.T) {
	e := nat.Endpoint{Port: 443}
	in := func(activation string, scope nat.Scope, families nat.Family) nat.Installed {
		return nat.Installed{Key: "k", Activation: activation, Scope: scope, Targets: []nat.Target{{Endpoint: e, Port: 7001, Families: families}}}
	}
	got := merged([]nat.Installed{in("a", nat.Network, nat.IPv4), in("b", nat.Everyone, nat.IPv4), in("a", nat.Everyone, nat.IPv6)})
	want := []nat.Installed{in("a", nat.Network, nat.DualStack), in("b", nat.Everyone, nat.IPv4)}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// inFamilies returns the families in which the rules serve service.
func (h *host) inFamilies(service string) (families nat.Family) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, family := range []nat.Family{nat.IPv4, nat.IPv6} {
		if _, ok := h.kernel.families[i][service]; ok {
			families |= family
		}
	}
	return families
}
