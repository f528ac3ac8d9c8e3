package contender

import (
	"fmt"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/test/load"
)

// seesBound is how many switches are allowed for the first loss.
const seesBound = 100

// The clients can see losses: with a server that ends at once, three schemes
// lose connections within some switches, and Switcheroo, under the same load,
// loses none in as many.
func TestSees(t *testing.T) {
	needed := 20
	for _, c := range []Contender{Naive{}, Restart{}, ReusePort{}} {
		t.Run(c.Name(), func(t *testing.T) {
			n, lost := loses(t, c, seesBound)
			if lost.Failed() == 0 {
				t.Errorf("%d switches lost nothing", n)
			}
			needed = max(needed, n)
		})
	}
	t.Run("switcheroo-nft", func(t *testing.T) {
		n, lost := loses(t, Switcheroo{Form: "nft", Backend: "iptables-nft"}, needed)
		for _, f := range lost.Failures[:min(10, len(lost.Failures))] {
			t.Errorf("lost: %v", f)
		}
		if n != needed {
			t.Errorf("there were %d switches, not %d", n, needed)
		}
	})
}

// loses switches under load until something is lost, limit times at most, and
// returns how often it switched and what the clients saw.
func loses(t *testing.T, c Contender, limit int) (switches int, seen *load.Result) {
	s := open(t, c, kind(t, "abrupt"))
	port := s.services[0].Port
	lost := make(chan struct{}, 2)
	var clients []*load.Remote
	for _, at := range []struct {
		guest  load.Guest
		binary string
		addrs  []string
	}{
		{s.Client, s.swload, []string{arena.Server4, "[" + arena.Server6 + "]"}},
		{s.Host, inside, []string{"127.0.0.1", "[::1]"}},
	} {
		// Each source port comes again after a second.
		l := s.services[0].Kind.Load
		l.Rate, l.Duration = 500, 2*time.Minute
		l.SlowConnect = -1 // the machine may be busy
		l.SourcePorts = load.PortRange{First: 20000, Last: 20499}
		for _, addr := range at.addrs {
			l.Targets = append(l.Targets, fmt.Sprintf("%s:%d", addr, port))
		}
		r, err := load.Start(t.Context(), at.guest, at.binary, l, func(so *load.Result) {
			if so.Failed() > 0 {
				select {
				case lost <- struct{}{}:
				default:
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, r)
	}
	for _, r := range clients {
		if err := r.Running(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for len(lost) == 0 && switches < limit {
		switches++
		s.to(switches)
	}
	s.each(func(v Service) error { return c.Settle(t.Context(), s.Arena, v) })
	seen = &load.Result{}
	for _, r := range clients {
		result, err := r.Stop()
		if err != nil {
			t.Fatal(err)
		}
		if err := result.Valid(); err != nil {
			t.Error(err)
		}
		seen.Merge(result)
	}
	total := seen.Total()
	t.Logf("%s: %d switches, %d connections, lost %d: %v", c.Name(), switches, total.Connections, seen.Failed(), total.Failures)
	return switches, seen
}
