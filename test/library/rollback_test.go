package library

import (
	"strings"
	"syscall"
	"testing"

	"github.com/switcheroo/switcheroo/test/load"
)

// servesAlone says whether v answers by both families, each of which has a
// commit of its own.
func (s *stage) servesAlone(v string) bool {
	return s.version(server4+":8080") == v && s.version("["+server6+"]:8080") == v
}

// The new process is killed while the old one is in standby, or still drains:
// the old one takes the traffic back.
func TestNewOneDies(t *testing.T) {
	each(t, func(s *stage) {
		v1 := s.deploy("v1")
		v2 := s.deploy("v2", "-standby", "1h")
		v3 := s.deploy("v3", "-standby", "1h")
		s.answers("v3")
		v3.signal(syscall.SIGKILL)
		s.eventually("v2 has the traffic", func() bool { return s.servesAlone("v2") })
		s.answers("v2", "["+server6+"]:8080", server4+":8080")
		v2.signal(syscall.SIGKILL)
		s.eventually("v1 has the traffic", func() bool { return s.servesAlone("v1") })
		if !v1.runs() {
			s.Error("v1 has ended")
		}
		s.eventually("the dead ones' rules are gone", func() bool { return strings.Count(s.rules(), "-N SWL-") == 4 })
		// And a deploy goes on from there.
		s.deploy("v4")
		v1.ends()
		s.answers("v4")
	})
}

// The new process hangs in standby: it gives the traffic back. (It is seen out like an old
// one; that takes as long as what is in its queue.)
func TestNewOneHangs(t *testing.T) {
	each(t, func(s *stage) {
		v1 := s.deploy("v1")
		v2 := s.deploy("v2", "-standby", "1h", "-hang-after", "1s", "-abrupt")
		s.eventually("v1 has the traffic", func() bool { return s.servesAlone("v1") })
		s.answers("v1")
		if !v1.runs() {
			s.Error("v1 has ended")
		}
		if err := containsAll(v2.log.String(), "does not answer any more"); err != nil {
			s.Errorf("%v: %s", err, v2.log)
		}
	})
}

// The new process is told to end while the old one is in standby: the traffic
// goes back before it does, and nothing is lost.
func TestNewOneWithdraws(t *testing.T) {
	each(t, func(s *stage) {
		s.deploy("v1")
		v2 := s.deploy("v2", "-standby", "1h")
		s.answers("v2")
		stop := s.load(load.Config{Short: 4, KeepAlive: 4, Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 21999}},
			[]string{"127.0.0.1:8080"}, []string{server4 + ":8080", "[" + server6 + "]:8080"})
		v2.signal(syscall.SIGTERM)
		v2.ends()
		s.lossless("the newer one withdraws", stop())
		s.answers("v1")
		if v2.err != nil {
			s.Errorf("v2 ended with %v: %s", v2.err, v2.log)
		}
	})
}

// The process that sees the others out dies: whoever has the traffic then sees
// them out in its place.
func TestStewardDies(t *testing.T) {
	each(t, func(s *stage) {
		v1 := s.deploy("v1")
		v2 := s.deploy("v2", "-standby", "1h")
		v2.signal(syscall.SIGKILL)
		v2.ends()
		v3 := s.deploy("v3")
		v1.ends()
		v3.says("settled")
		s.answers("v3")
	})
}

// A probe that does not succeed: the old one keeps the traffic.
func TestProbeFails(t *testing.T) {
	each(t, func(s *stage) {
		v1 := s.deploy("v1")
		was := s.rules()
		for _, args := range [][]string{{"-never-accepts"}, {"-probe", "http:/nowhere"}} {
			said := s.start(s.app, append([]string{"-version", "v2", "-probe-timeout", "1s"}, args...)...).fails()
			if err := containsAll(said, "not ready on private port 40401 within 1s"); err != nil {
				s.Error(err)
			}
		}
		if now := s.rules(); now != was {
			s.Errorf("rules have changed:\n%s\nfrom\n%s", now, was)
		}
		s.answers("v1")
		s.deploy("v3", "-probe", "http:/version")
		v1.ends()
	})
}
