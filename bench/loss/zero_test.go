package main

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/cell"
	"github.com/switcheroo/switcheroo/bench/loss/contender"
	"github.com/switcheroo/switcheroo/bench/loss/judge"
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
// client and the form of ours. Deploys follow one another while older versions
// still drain.
func TestZero(t *testing.T) {
	needRoot(t)
	for _, c := range ours(t) {
		for _, k := range server.All() {
			if c.Supports(k) != nil {
				continue
			}
			t.Run(c.Name()+"/"+k.Name, func(t *testing.T) {
				t.Parallel()
				n := switches(t)
				seen := lossless(t, cell.Plan{Contender: c, Kinds: []server.Kind{k}, Switches: n, Seed: newSeed(0), Rest: 100 * time.Millisecond})
				want := n
				if k.Name == "slow-accept" {
					want = n / 2 // it may have no time for anybody while it is new
				}
				if served := len(seen.Total().Versions); served < want {
					t.Errorf("only %d versions of %d were seen", served, n)
				}
				for _, kind := range k.Clients {
					if seen.Kinds[kind] == nil || seen.Kinds[kind].Requests == 0 {
						t.Errorf("no %s client was answered: the loop shows nothing of them", kind)
					}
				}
				if k.Name == "resetting" && seen.Total().ServerResets == 0 {
					t.Error("the server reset nothing: the loop shows nothing")
				}
				if k.Name == "overload" && seen.Kernel["tcp.ListenOverflows"] == 0 {
					t.Error("the accept queue was never full: the loop shows nothing")
				}
			})
		}
	}
}

// The same with clients that are as fast as the machine lets them be, so that
// queues are never empty and source ports are back at once. How long a
// handshake takes then says nothing.
func TestZeroAtFullSpeed(t *testing.T) {
	needRoot(t)
	for _, c := range ours(t) {
		for _, name := range []string{"quick", "resetting"} {
			t.Run(c.Name()+"/"+name, func(t *testing.T) {
				k, err := server.ByName(name)
				if err != nil {
					t.Fatal(err)
				}
				lossless(t, cell.Plan{
					Contender: c, Kinds: []server.Kind{k}, Switches: switches(t), Seed: newSeed(0), Rest: 100 * time.Millisecond,
					Adjust: func(c *load.Config) {
						c.Short, c.Rate, c.KeepAlive, c.Pause, c.SlowConnect = 16, 0, 16, 0, -1
					},
				})
			})
		}
	}
}

// ours returns the forms of Switcheroo.
func ours(t *testing.T) []contender.Contender {
	all, err := pickContenders("ours")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func needRoot(t *testing.T) {
	t.Helper()
	if why := host.Check(""); why != nil && os.Geteuid() != 0 {
		t.Skip(why)
	}
}

// lossless runs p, and fails the test if anything was lost.
func lossless(t *testing.T, p cell.Plan) *judge.Cell {
	t.Helper()
	seen, err := cell.Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if seen.Error != "" {
		t.Error(seen.Error)
	}
	total := seen.Total()
	t.Logf("%d switches, seed %d, %d connections, %d requests, the server's own %v, slowest answer %v, clients stood still %d times, kernel %v",
		seen.Switches, seen.Seed, total.Connections, total.Requests, seen.Own, seen.Slowest(), seen.Stood, seen.Kernel)
	if lost := seen.Failed(); lost > 0 {
		t.Errorf("%d were lost, the first:", lost)
		for _, l := range seen.Losses {
			t.Logf("switch %d + %v: %s", l.Switch, l.After.Round(time.Millisecond), l.Failure)
		}
	}
	// None of these servers closes an idle connection by itself, and DrainSec=
	// is longer than any client keeps one: an old version that was stopped
	// before its connections ended shows here, if its shutdown is good enough to
	// lose nothing else.
	if idle := seen.Idle(); idle > 0 {
		t.Errorf("%d idle connections were closed by servers: old ones were stopped before they were drained", idle)
	}
	return seen
}

// What a client keeps for longer than DrainSec= the application's own shutdown
// ends, and nothing else ends.
func TestHeld(t *testing.T) {
	needRoot(t)
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
	needRoot(t)
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
