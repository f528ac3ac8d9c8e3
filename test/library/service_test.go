package library

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What List says of a service with every kind of process, and what Cleanup
// leaves.
func TestListAndCleanup(t *testing.T) {
	each(t, func(s *stage) {
		old := s.start(s.original)
		old.says("ready")
		list := func() (lines []string) {
			s.Helper()
			out := s.do(s.app + " -list")
			for line := range strings.Lines(out) {
				lines = append(lines, strings.TrimSpace(line))
			}
			return lines
		}
		if diff := cmp.Diff([]string{"myapp [8080] scope 1", "port 40400 alive true current true told false"}, list()); diff != "" {
			s.Errorf("the original alone (-want +got):\n%s", diff)
		}
		s.deploy("v1", "-standby", "1h")
		s.deploy("b1", "-name", "b", "-port", "8081", "-scope", "2")
		s.deploy("v2", "-standby", "1h").signal(9)
		s.eventually("v1 has the traffic", func() bool { return s.servesAlone("v1") })
		v3 := s.deploy("v3", "-standby", "1h", "-listen", "8080,"+server4+":8443")
		want := []string{
			"b [8081] scope 2", "port 40402 alive true current true told false",
			"myapp [8080 10.9.0.1:8443] scope 3", "port 40403 alive true current true told false",
			"port 40401 alive true current false told false", "port 40400 alive true current false told false",
		}
		s.eventually("the dead one is forgotten", func() bool { return len(list()) == len(want) })
		if diff := cmp.Diff(want, list()); diff != "" {
			s.Errorf("-want +got:\n%s", diff)
		}
		s.answers("v3", server4+":8080", server4+":8443")
		s.do(s.app + " -name myapp -cleanup")
		s.refused(server4 + ":8080")
		if rules := s.rules(); strings.Contains(rules, "ns=myapp") || !strings.Contains(rules, "ns=b") {
			s.Errorf("after the cleanup:\n%s", rules)
		}
		if tables := s.do("nft list tables"); strings.Count(tables, "switcheroo-") != 1 {
			s.Errorf("tables: %s", tables)
		}
		if !v3.runs() || !old.runs() {
			s.Error("a process has ended")
		}
		// And a new one begins anew.
		s.deploy("v4")
		s.answers("v4")
	})
}

// Two that share a network, but not their process ids, cannot see each other: the
// second one is refused by both APIs, and the first one untouched.
func TestOutOfSight(t *testing.T) {
	each(t, func(s *stage) {
		elsewhere := func(args ...string) *program {
			return s.start("/usr/bin/unshare", append([]string{"--pid", "--fork", "--kill-child", "--mount-proc", s.app}, args...)...)
		}
		v1 := elsewhere("-version", "v1")
		v1.says("ready")
		was := s.rules()
		for _, api := range []string{"idiomatic", "compatible"} {
			said := elsewhere("-version", "v2", "-api", api, "-scope", "3").fails()
			if err := containsAll(said, "cannot be seen from here, and serves on private port 40400"); err != nil {
				s.Error(err)
			}
		}
		if said := elsewhere("-name", "other").fails(); !strings.Contains(said, `endpoint 8080 belongs to service "myapp"`) {
			s.Errorf("another service was told: %s", said)
		}
		if now := s.rules(); now != was {
			s.Errorf("rules have changed:\n%s\nfrom\n%s", now, was)
		}
		s.answers("v1")
		v1.signal(9)
		v1.ends()
		s.deploy("v3")
		s.answers("v3")
	})
}
