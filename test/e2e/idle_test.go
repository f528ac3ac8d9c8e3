package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// An idle daemon costs next to nothing: it wakes at most every few seconds,
// and stays small.
func TestIdle(t *testing.T) {
	for _, b := range []backend{nft, legacy} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			s := setWith(t, b, keys("StandbySec=0"))
			s.deploy("v1")
			s.deploy("v2")
			s.is("myapp@v1", "inactive")
			pid := s.property("switcherood", "MainPID")
			// The last deploy's echoes: a look at others' rules, for instance.
			s.within(time.Minute, "the echoes of the deploys have passed", func() error {
				before := s.wakeups(pid)
				time.Sleep(2 * time.Second)
				if n := s.wakeups(pid) - before; n > 20 {
					return fmt.Errorf("%d wake-ups in 2 s", n)
				}
				return nil
			})
			const window = 10 * time.Second
			before := s.wakeups(pid)
			time.Sleep(window) // what does not happen in it is what is measured
			woken := s.wakeups(pid) - before
			rss := s.status(pid, "VmRSS")
			t.Logf("%s: %d wake-ups in %s, resident memory %d KiB", b, woken, window, rss)
			// One every 2 s is legacy's look at its rules, one every 15 s the
			// watchdog's. Each wakes several threads of a Go program, which
			// count here one by one, until they sleep again.
			if woken > 20*int(window/(2*time.Second)) {
				t.Errorf("%d wake-ups in %s", woken, window)
			}
			if rss > 25<<10 {
				t.Errorf("resident memory is %d KiB, want at most 25 MiB", rss)
			}
		})
	}
}

// wakeups returns how often the threads of a process have been put on a CPU of
// their own will.
func (s *stage) wakeups(pid string) int {
	s.Helper()
	sum := 0
	out := s.do("cat /proc/" + pid + "/task/*/status")
	for line := range strings.Lines(out) {
		if n, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
			v, err := strconv.Atoi(strings.TrimSpace(n))
			if err != nil {
				s.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

// status returns a line of /proc/PID/status, in its unit.
func (s *stage) status(pid, key string) int {
	s.Helper()
	out := s.do("cat /proc/" + pid + "/status")
	for line := range strings.Lines(out) {
		if v, ok := strings.CutPrefix(line, key+":"); ok {
			n, err := strconv.Atoi(strings.Fields(v)[0])
			if err != nil {
				s.Fatal(err)
			}
			return n
		}
	}
	s.Fatalf("no %s in\n%s", key, out)
	return 0
}
