package library

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Processes that are started, killed and told to end at random moments, also in
// the midst of a switch: as long as one that had the traffic lives, it gets it
// back; and in the end one serves, and nothing is left of the others.
func TestDeaths(t *testing.T) {
	rounds := 15
	if n, err := strconv.Atoi(os.Getenv("SWITCHEROO_DEATHS")); err == nil {
		rounds = n
	}
	each(t, func(s *stage) {
		seed := uint64(time.Now().UnixNano())
		random := rand.New(rand.NewPCG(seed, 0))
		s.Logf("seed %d", seed)
		var all []*program
		for i := range rounds {
			api := []string{"idiomatic", "compatible"}[random.IntN(2)]
			p := s.start(s.app, "-version", fmt.Sprintf("v%d", i), "-api", api, "-scope", "3", "-standby", "300ms")
			all = append(all, p)
			switch random.IntN(3) {
			case 0: // may be anywhere on its way
				time.Sleep(time.Duration(random.IntN(250)) * time.Millisecond)
				p.cmd.Process.Kill()
				p.ends()
			case 1:
				p.says("ready")
				victim := all[random.IntN(len(all))]
				victim.cmd.Process.Kill()
				victim.ends()
			case 2:
				p.says("ready")
				all[random.IntN(len(all))].cmd.Process.Signal(os.Interrupt) // nobody catches that
			}
		}
		last := s.deploy("last", "-standby", "-1s")
		s.eventually("the last one serves alone", func() bool {
			for _, p := range all {
				if p.runs() {
					return false
				}
			}
			return strings.Count(s.rules(), "-N SWL-") == 4
		})
		s.answers("last", server4+":8080", "["+server6+"]:8080")
		if n := strings.Count(s.rules(), "-j DNAT"); n != 2 {
			s.Errorf("%d rules:\n%s", n, s.rules())
		}
		last.signal(15)
		last.ends()
		if left := s.rules(); left != "" {
			s.Errorf("left:\n%s", left)
		}
	})
}

// A process dies between the record that it tells an older one to end and the
// signal: the next one sends that.
func TestDeathBeforeTheSignal(t *testing.T) {
	each(t, func(s *stage) {
		v1 := s.deploy("v1", "-api", "compatible", "-scope", "3")
		v2 := s.deploy("v2", "-standby", "1h")
		s.do(`chain=$(iptables -t nat -S | grep -m1 'gen=1 ' | cut -d' ' -f2)
iptables -t nat -A $chain -m comment --comment "switcheroo told"`)
		v2.signal(9)
		v2.ends()
		v3 := s.deploy("v3")
		v1.ends()
		if v1.err != nil {
			s.Errorf("v1 ended with %v", v1.err)
		}
		s.answers("v3")
		s.eventually("only v3's rules are left", func() bool { return strings.Count(s.rules(), "-N SWL-") == 4 })
		if n := strings.Count(v3.log.String(), "told to end"); n != 1 {
			s.Errorf("%d processes were told to end: %s", n, v3.log)
		}
	})
}
