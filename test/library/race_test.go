package library

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/switcheroo/switcheroo/test/load"
)

// Ten at once, by both APIs, under load: one rule, one survivor, no failure.
func TestTenAtOnce(t *testing.T) {
	each(t, func(s *stage) {
		first := s.deploy("v0")
		stop := s.load(load.Config{Short: 4, KeepAlive: 4, Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 21999}},
			nil, []string{server4 + ":8080", "[" + server6 + "]:8080"})
		const n = 10
		all := make([]*program, n)
		for i := range all {
			api := []string{"idiomatic", "compatible"}[i%2]
			all[i] = s.start(s.app, "-version", fmt.Sprintf("v%d", i+1), "-api", api, "-scope", "3")
		}
		var ready sync.WaitGroup
		for _, p := range all {
			ready.Go(func() {
				if _, found := p.within(patience, "ready"); !found {
					s.Errorf("one is never ready: %s", p.log)
				}
			})
		}
		ready.Wait()
		first.ends()
		alive := func() (alive []*program) {
			for _, p := range all {
				if p.runs() {
					alive = append(alive, p)
				}
			}
			return alive
		}
		s.eventually("there is one survivor", func() bool { return len(alive()) == 1 })
		s.lossless("ten at once", stop())
		for _, p := range all {
			if !p.runs() && p.err != nil {
				s.Errorf("one ended with %v: %s", p.err, p.log)
			}
		}
		s.eventually("one has rules", func() bool { return strings.Count(s.rules(), "-N SWL-") == 4 })
		for i, p := range all {
			if p.runs() {
				s.answers(fmt.Sprintf("v%d", i+1), server4+":8080", "["+server6+"]:8080")
			}
		}
		if n := strings.Count(s.rules(), "-j DNAT"); n != 2 {
			s.Errorf("%d rules:\n%s", n, s.rules())
		}
	})
}

// Several services want the same port at the same moment: one gets it, and the
// others are told whose it is.
func TestOnePortManyServices(t *testing.T) {
	each(t, func(s *stage) {
		const n = 6
		all := make([]*program, n)
		for i := range all {
			name := fmt.Sprintf("service%d", i)
			all[i] = s.start(s.app, "-name", name, "-version", name)
		}
		var winners []string
		for i, p := range all {
			if _, ready := p.within(patience, "ready"); ready {
				winners = append(winners, fmt.Sprintf("service%d", i))
				continue
			}
			if err := containsAll(p.fails(), "endpoint 8080 belongs to service \"service", "process"); err != nil {
				s.Error(err)
			}
		}
		if len(winners) != 1 {
			s.Fatalf("these have the port: %v\n%s", winners, s.rules())
		}
		s.answers(winners[0])
	})
}

// No free port: the old one is untouched, and the error says what the range is.
func TestPortsExhausted(t *testing.T) {
	each(t, func(s *stage) {
		v1 := s.deploy("v1", "-ports", "40400-40401", "-drain", "1h")
		v2 := s.deploy("v2", "-ports", "40400-40401", "-standby", "1h")
		was := s.rules()
		for _, api := range []string{"idiomatic", "compatible"} {
			said := s.start(s.app, "-api", api, "-ports", "40400-40401").fails()
			if err := containsAll(said, "no free private port from 40400 to 40401"); err != nil {
				s.Error(err)
			}
		}
		if now := s.rules(); now != was {
			s.Errorf("rules have changed:\n%s\nfrom\n%s", now, was)
		}
		if !v1.runs() || !v2.runs() {
			s.Error("an older one has ended")
		}
		s.answers("v2")
	})
}

// The private port of a process that was killed is nobody's as long as its
// rules lead there: the clients of one service do not come to another.
func TestPortOfTheDead(t *testing.T) {
	each(t, func(s *stage) {
		dead := s.deploy("b1", "-name", "b", "-port", "9090")
		port := dead.says("listening")
		dead.signal(9)
		dead.ends()
		c := s.deploy("c1", "-name", "c")
		if got := c.says("listening"); got == port {
			s.Errorf("it has the port %s, to which the rules of b lead", got)
		}
		s.answers("c1")
		s.refused(server4 + ":9090")
		// To its own next process it may go.
		s.deploy("b2", "-name", "b", "-port", "9090", "-ports", port+"-"+port)
		s.answers("b2", server4+":9090")
	})
}

// An endpoint that is taken from services whose processes were killed leads to
// the new process, although the hooks of the dead stand before its own.
func TestEndpointOfTheDead(t *testing.T) {
	each(t, func(s *stage) {
		s.deploy("a1", "-name", "a")
		b := s.deploy("b1", "-name", "b", "-port", "9090")
		old := s.start(s.original, "-name", "old", "-port", "9091")
		old.says("ready")
		for _, dead := range []*program{b, old} {
			dead.signal(9)
			dead.ends()
		}
		s.deploy("a2", "-name", "a", "-listen", "8080,9090,9091")
		s.answers("a2", server4+":8080", server4+":9090", server4+":9091", "["+server6+"]:9090")
		if rules := s.rules(); strings.Contains(rules, "SWITCHEROO:") {
			s.Errorf("the original's rule is left:\n%s", rules)
		}
	})
}
