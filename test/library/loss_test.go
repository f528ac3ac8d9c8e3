package library

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// switches is how many deploys a kind of program gets: few in every run, more
// with SWITCHEROO_SWITCHES.
func switches(t *testing.T) int {
	text := os.Getenv("SWITCHEROO_SWITCHES")
	if text == "" {
		return 6
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SWITCHEROO_SWITCHES=%q: want a number above 0", text)
	}
	return n
}

// The promise: a switch under load loses nothing, whether the program ends well
// or at once, by either API, while older ones still drain. Clients on another
// host and on the same one, by both families, with source ports that come back
// within seconds.
func TestLoss(t *testing.T) {
	kinds := []struct {
		name    string
		backend string
		args    []string
	}{
		{"graceful", "nft", []string{"-api", "compatible", "-scope", "3"}},
		{"graceful", "legacy", []string{"-api", "idiomatic"}},
		{"abrupt", "nft", []string{"-api", "idiomatic", "-abrupt"}},
		{"abrupt", "legacy", []string{"-api", "compatible", "-scope", "3", "-abrupt"}},
		{"resetting", "nft", []string{"-api", "compatible", "-scope", "3", "-abrupt", "-resets"}},
	}
	for _, k := range kinds {
		t.Run(k.name+"-"+k.backend, func(t *testing.T) {
			s := set(t, k.backend)
			s.deploy("v0", k.args...)
			stop := s.load(load.Config{
				Short: 16, KeepAlive: 16, Requests: 20, Streams: 4, StreamFor: 2 * time.Second,
				Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 23999},
			},
				[]string{"127.0.0.1:8080", "[::1]:8080", server4 + ":8080"},
				[]string{server4 + ":8080", "[" + server6 + "]:8080"})
			n := switches(t)
			began := time.Now()
			var all []*program
			for i := 1; i <= n; i++ {
				all = append(all, s.deploy(fmt.Sprintf("v%d", i), k.args...))
			}
			took := time.Since(began)
			for _, p := range all[:n-1] {
				p.ends()
			}
			result := stop()
			s.lossless(fmt.Sprintf("%d switches in %v of a program that is %s, with %s: %q", n, took.Round(time.Millisecond), k.name, k.backend, k.args), result)
			// One may be followed before a client has come.
			if served := len(result.Total().Versions); served < n*9/10 {
				s.Errorf("only %d versions of %d were seen", served, n)
			}
			if k.name == "resetting" && result.Total().ServerResets == 0 {
				s.Error("the program reset nothing: the test shows nothing")
			}
		})
	}
}
