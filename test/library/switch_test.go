package library

import (
	"strings"
	"syscall"
	"testing"
)

// One deploy after another, with each API.
func TestSwitch(t *testing.T) {
	each(t, func(s *stage) {
		every := []string{server4 + ":8080", "[" + server6 + "]:8080"}
		v1 := s.deploy("v1")
		s.answers("v1", every...)
		v2 := s.deploy("v2", "-api", "compatible")
		s.answers("v2", every...)
		v1.says("done")
		v1.says("ended")
		v1.ends()
		v3 := s.deploy("v3")
		v2.ends()
		v3.says("settled")
		s.answers("v3", every...)
		s.eventually("only v3's rules are left", func() bool {
			return strings.Count(s.rules(), "-N SWL-") == 4
		})
		// Without a successor: refused, and no trace.
		v3.signal(syscall.SIGTERM)
		v3.ends()
		if v3.err != nil {
			s.Errorf("v3 ended with %v: %s", v3.err, v3.log)
		}
		s.refused(server4 + ":8080")
		if left := s.rules(); left != "" {
			s.Errorf("left:\n%s", left)
		}
		if tables := s.do("nft list tables"); strings.Contains(tables, "switcheroo") {
			s.Errorf("left: %s", tables)
		}
	})
}
