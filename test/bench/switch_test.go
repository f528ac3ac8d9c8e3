package bench

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/bench/event"
)

// switches is how many switches are measured: SWITCHEROO_SWITCHES, or 100.
func switches(tb testing.TB) int {
	tb.Helper()
	v := os.Getenv("SWITCHEROO_SWITCHES")
	if v == "" {
		return 100
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		tb.Fatalf("SWITCHEROO_SWITCHES=%s: want a number from 1 on", v)
	}
	return n
}

// BenchmarkSwitch measures from READY=1, the moment the service sends it, to
// the rules in place, as the kernel shows them. One switch is one operation,
// however often the testing package asks for it.
func BenchmarkSwitch(b *testing.B) {
	for _, backend := range backends {
		b.Run(backend, func(b *testing.B) {
			n := switches(b)
			s := open(b, backend, nil)
			s.deploy()
			r := measurement{backend: backend}
			for range n {
				r.samples = append(r.samples, s.measured())
			}
			r.bare, r.bareCommit = s.bare(backend, n)
			r.report(b)
			summary.switches = append(summary.switches, r)
		})
	}
}

func (s *stage) measured() sample {
	s.Helper()
	version, events := s.deploy()
	m, _ := measure(events, version)
	return m
}

// bare runs `iptables -R` n times, on the very rule that a switch replaces and
// in the same table. The daemon is stopped for it; the rules stay. It returns
// how long each took to end, and to be in place.
func (s *stage) bare(backend string, n int) (took, inPlace []time.Duration) {
	s.Helper()
	s.systemctl("stop", "switcherood")
	rules, err := s.Run(s.Context(), backend, "-t", "nat", "-S")
	if err != nil {
		s.Fatal(err)
	}
	replace := replacement(rules)
	if replace == nil {
		s.Fatalf("no jump of ours in\n%s", rules)
	}
	s.quiet(100 * time.Millisecond)
	s.trace.forget()
	for _, e := range s.run(append([]string{"run", strconv.Itoa(n), backend, "-w", "5", "-t", "nat"}, replace...)...) {
		took = append(took, e.Took)
		if backend != "iptables-nft" {
			continue // there is nothing to see: the rule is what it was
		}
		events, _, _ := s.trace.since()
		for _, c := range events {
			if c.Kind == event.Commit && e.At-e.Took <= c.At && c.At <= e.At {
				inPlace = append(inPlace, c.At-(e.At-e.Took))
			}
		}
	}
	return took, inPlace
}

// replacement finds the jump to an activation's chain in what `iptables -S`
// printed, and returns the words that replace it with itself.
func replacement(rules string) []string {
	for line := range strings.Lines(rules) {
		words := strings.Fields(strings.ReplaceAll(line, `"`, ""))
		if len(words) > 2 && words[0] == "-A" && strings.Contains(line, "switcheroo:") &&
			strings.HasPrefix(words[len(words)-1], "SW-") {
			return append([]string{"-R", words[1], "1"}, words[2:]...)
		}
	}
	return nil
}

// The benchmark itself works: what it reads of a switch is complete.
func TestSwitchIsSeen(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			s := open(t, backend, nil)
			s.deploy()
			m := s.measured()
			if m.total < m.iptables || m.iptables <= 0 || m.probe <= 0 || m.ours <= 0 {
				t.Errorf("got %+v", m)
			}
			took, _ := s.bare(backend, 2)
			if len(took) != 2 || took[0] <= 0 {
				t.Errorf("bare: %v", took)
			}
		})
	}
}
