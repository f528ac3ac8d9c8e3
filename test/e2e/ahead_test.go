package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// gate keeps an instance of myapp from being ready until /run/gate-VERSION exists.
func gate(version string) map[string]string {
	return instance(version, "[Service]\nExecStartPre=/bin/sh -c 'until test -e /run/gate-%i; do sleep 0.02; done'\nTimeoutStartSec=60s\n")
}

// The commands that will write the rules are started when an instance begins to
// start, and none is left after the switch, nor after the daemon, whatever it
// ends of.
func TestWritersAhead(t *testing.T) {
	for _, b := range []backend{nft, legacy} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			s := setWith(t, b, gate("v2"), gate("v3"))
			s.deploy("v1")
			s.restoring(0)

			s.systemctl("start", "--no-block", "myapp@v2")
			waiting := s.restoring(2)
			s.do("touch /run/gate-v2")
			s.served("v2")
			s.log("write rules", "family=IPv4", "ahead=true")
			s.log("write rules", "family=IPv6", "ahead=true")
			s.gone(waiting)
			s.restoring(0)

			s.systemctl("start", "--no-block", "myapp@v3")
			waiting = s.restoring(2)
			if err := s.host.Kill9(t.Context(), "switcherood"); err != nil {
				t.Fatal(err)
			}
			s.gone(waiting)
			s.is("switcherood", "active")
			waiting = s.restoring(2) // the next daemon sees it start, too
			s.systemctl("restart", "switcherood")
			s.gone(waiting)
			waiting = s.restoring(2)
			s.systemctl("stop", "switcherood")
			s.gone(waiting)
			s.start("switcherood")
			waiting = s.restoring(2)
			s.do("touch /run/gate-v3")
			s.served("v3")
			s.gone(waiting)
			s.restoring(0)
		})
	}
}

// restoring waits until the daemon has so many commands that write rules, and
// returns their processes.
func (s *stage) restoring(n int) (pids []string) {
	s.Helper()
	s.eventually(fmt.Sprintf("%d commands", n), func() error {
		out := s.do("for p in $(cat /sys/fs/cgroup" + s.property("switcherood", "ControlGroup") + "/cgroup.procs); do " +
			`echo $p $(tr '\0' ' ' <"/proc/$p/cmdline"); done 2>/dev/null || true`)
		pids = nil
		for line := range strings.Lines(out) {
			if strings.Contains(line, "-restore") {
				pids = append(pids, strings.Fields(line)[0])
			}
		}
		if len(pids) != n {
			return fmt.Errorf("the daemon's processes are:\n%s", out)
		}
		return nil
	})
	return pids
}

// gone waits until processes are.
func (s *stage) gone(pids []string) {
	s.Helper()
	s.eventually("the commands have ended", func() error {
		for _, there := range strings.Fields(s.do("ls /proc")) {
			if slices.Contains(pids, there) {
				return fmt.Errorf("process %s has not", there)
			}
		}
		return nil
	})
}
