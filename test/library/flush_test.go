package library

import (
	"syscall"
	"testing"
	"time"
)

// Another program flushes everything: each process puts its own rules back, the
// current one leads the traffic to itself, and the older one can still be gone
// back to.
func TestFlush(t *testing.T) {
	each(t, func(s *stage) {
		every := []string{server4 + ":8080", "[" + server6 + "]:8080"}
		v1 := s.deploy("v1")
		v2 := s.deploy("v2", "-standby", "1h")
		s.answers("v2", every...)
		for _, flush := range []string{
			"iptables -t nat -F; ip6tables -t nat -F",
			"iptables -t nat -F; iptables -t nat -X",
			"nft flush ruleset; iptables -t nat -F PREROUTING; ip6tables -t nat -F",
		} {
			s.do(flush)
			for _, addr := range every {
				s.eventually("v2 is back after "+flush, func() bool { return s.version(addr) == "v2" })
			}
		}
		s.eventually("v1 is known again", func() bool { return containsAll(s.do(s.app+" -list"), "port 40400 alive true current false") == nil })
		v2.signal(syscall.SIGKILL)
		s.eventually("v1 has the traffic", func() bool { return s.version(every[0]) == "v1" && s.version(every[1]) == "v1" })
		s.deploy("v3")
		v1.ends()
		s.answers("v3", every...)
		// What Cleanup removes stays away.
		s.do(s.app + " -cleanup")
		time.Sleep(time.Second) // each process has looked at the rules again by then
		for _, addr := range every {
			s.refused(addr)
		}
		if left := s.rules(); left != "" {
			s.Errorf("left after the cleanup:\n%s", left)
		}
	})
}
