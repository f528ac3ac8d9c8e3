package main

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/cell"
	"github.com/switcheroo/switcheroo/bench/loss/contender"
	"github.com/switcheroo/switcheroo/bench/loss/server"
	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

func TestMain(m *testing.M) { os.Exit(host.Main(m)) }

// switches is how many each loop makes: few in every run of the suite, as many
// as SWITCHEROO_SWITCHES says in others.
func switches(t *testing.T) int {
	s := os.Getenv("SWITCHEROO_SWITCHES")
	if s == "" {
		return 10
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("SWITCHEROO_SWITCHES=%q: want a number above 0", s)
	}
	return n
}

// The promise: a switch under load loses nothing, whatever the server, the
// client and the backend. Deploys follow one another while older versions
// still drain.
func TestZero(t *testing.T) {
	if why := host.Check(""); why != nil && os.Geteuid() != 0 {
		t.Skip(why)
	}
	n := switches(t)
	for _, c := range contender.All() {
		if !c.Ours() {
			continue
		}
		for _, k := range server.All() {
			if c.Supports(k) != nil {
				continue
			}
			t.Run(c.Name()+"/"+k.Name, func(t *testing.T) {
				seen, err := cell.Run(t.Context(), cell.Plan{
					Contender: c, Kinds: []server.Kind{k}, Switches: n, Seed: newSeed(0), Rest: 100 * time.Millisecond,
				})
				if err != nil {
					t.Fatal(err)
				}
				total := seen.Total()
				t.Logf("%d switches, seed %d, %d connections, %d requests, the server's own %v, stood still %d times, kernel %v",
					seen.Switches, seen.Seed, total.Connections, total.Requests, seen.Own, total.Stalled, seen.Kernel)
				if lost := seen.Failed(); lost > 0 {
					t.Errorf("%d were lost, the first:", lost)
					for _, l := range seen.Losses {
						t.Logf("switch %d + %v: %s", l.Switch, l.After.Round(time.Millisecond), l.Failure)
					}
				}
				// None of these servers closes an idle connection by itself, and
				// DrainSec= is longer than any client keeps one: an old version
				// that was stopped before its connections ended shows here, if
				// its shutdown is good enough to lose nothing else.
				if total.IdleCloses > 0 {
					t.Errorf("%d idle connections were closed by servers: old ones were stopped before they were drained", total.IdleCloses)
				}
				// A slow server may have no time for anybody while it is new.
				if served := len(total.Versions); served < n*3/4 {
					t.Errorf("only %d versions of %d were seen", served, n)
				}
				for _, kind := range k.Clients {
					if seen.Kinds[kind] == nil || seen.Kinds[kind].Requests == 0 {
						t.Errorf("no %s client was answered: the loop shows nothing of them", kind)
					}
				}
				if k.Name == "resetting" && total.ServerResets == 0 {
					t.Error("the server reset nothing: the loop shows nothing")
				}
				if k.Name == "overload" && seen.Kernel["tcp.ListenOverflows"] == 0 {
					t.Error("the accept queue was never full: the loop shows nothing")
				}
			})
		}
	}
}

// What a client keeps for longer than DrainSec= the application's own shutdown
// ends, and nothing else ends.
func TestHeld(t *testing.T) {
	if why := host.Check(""); why != nil && os.Geteuid() != 0 {
		t.Skip(why)
	}
	for _, name := range []string{"quick", "abrupt"} {
		t.Run(name, func(t *testing.T) {
			k, err := server.ByName(name)
			if err != nil {
				t.Fatal(err)
			}
			h, err := hold(t.Context(), k, t.Output())
			if err != nil {
				t.Fatal(err)
			}
			if err := h.check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A bench that cannot see losses proves nothing.
func TestItSees(t *testing.T) {
	if why := host.Check(""); why != nil && os.Geteuid() != 0 {
		t.Skip(why)
	}
	k, err := server.ByName("abrupt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"naive", "restart", "reuseport"} {
		t.Run(name, func(t *testing.T) {
			c, err := contender.ByName(name)
			if err != nil {
				t.Fatal(err)
			}
			seen, err := cell.Run(t.Context(), cell.Plan{
				Contender: c, Kinds: []server.Kind{k}, Switches: 3, Seed: newSeed(0), Rest: 100 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("lost in %d switches: %v", seen.Switches, seen.Lost)
			if seen.Failed() == 0 || seen.Hit == 0 {
				t.Error("a scheme that loses connections shows none")
			}
			if seen.Lost[load.Retransmitted] == seen.Failed() {
				t.Error("it shows only SYNs that were sent again")
			}
		})
	}
}
