package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// The ways to the service from the host and from another one.
var (
	fromItself  = []string{"127.0.0.1:8080", "[::1]:8080", server4 + ":8080"}
	fromAnother = []string{server4 + ":8080", "[" + server6 + "]:8080"}
)

// The daemon dies somewhere in every deploy: before it has seen the new
// version, while it moves the rules, while it quiesces, drains or stops the old
// one. What it has begun its successor finishes, and no client notices.
func TestDaemonKilledInEveryDeploy(t *testing.T) {
	t.Parallel()
	for _, b := range []backend{nft, legacy} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			s := setWith(t, b, keys("StandbySec=0", "DrainSec=2min"), map[string]string{
				"/etc/systemd/system/switcherood.service.d/restart.conf": "[Service]\nRestartSec=50ms\n",
				"/etc/systemd/system/myapp@.service.d/mode.conf":         "[Service]\nEnvironment=\"ARGS=-mode abrupt\"\n",
			})
			s.deploy("v0")
			stop := s.load(load.Config{
				Short: 8, Rate: 200, KeepAlive: 2, Requests: 20, Streams: 3, StreamFor: time.Second,
				Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 20499},
			}, fromItself, fromAnother)
			const n = 8
			for i := 1; i <= n; i++ {
				unit := fmt.Sprintf("myapp@v%d.service", i)
				// systemctl returns when the unit is ready.
				s.do(fmt.Sprintf("systemctl start %s; sleep 0.%03d; systemctl kill --signal=KILL --kill-who=main switcherood", unit, rand.IntN(151)))
				s.current(unit)
				s.eventually("the daemon is back", func() error {
					now := s.property("switcherood", "NRestarts") + " " + s.property("switcherood", "ActiveState")
					if now != fmt.Sprintf("%d active", i) {
						return fmt.Errorf("restarts and state: %s", now)
					}
					return nil
				})
			}
			last := fmt.Sprintf("v%d", n)
			s.within(time.Minute, "the old ones are stopped", s.onlyRuns("myapp@"+last+".service"))
			s.served(last)
			result := stop()
			t.Logf("%s: killed in %d deploys\n%s", b, n, tableOf(t, result))
			lostNothing(t, result)
		})
	}
}

// current waits until unit has the traffic.
func (s *stage) current(unit string) {
	s.Helper()
	s.within(30*time.Second, unit+" is current", func() error {
		if cur := s.state().Services["myapp"].Current; cur == nil || cur.Unit != unit {
			return fmt.Errorf("%v is", cur)
		}
		return nil
	})
}

// onlyRuns returns a check that unit alone is left.
func (s *stage) onlyRuns(unit string) func() error {
	return func() error {
		if old := s.state().Services["myapp"].Old; len(old) > 0 {
			return fmt.Errorf("%d old ones are left, the first %s", len(old), old[0].Unit)
		}
		for line := range strings.Lines(s.systemctl("list-units", "--plain", "--no-legend", "myapp@*")) {
			if f := strings.Fields(line); len(f) > 2 && f[0] != unit && f[2] != "inactive" && f[2] != "failed" {
				return fmt.Errorf("%s is %s", f[0], f[2])
			}
		}
		return nil
	}
}

func tableOf(t *testing.T, r *load.Result) string {
	t.Helper()
	var b strings.Builder
	if err := r.Table(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func lostNothing(t *testing.T, r *load.Result) {
	t.Helper()
	if lost := r.Failed(); lost > 0 {
		t.Errorf("%d were lost, the first:", lost)
		for _, f := range r.Failures[:min(10, len(r.Failures))] {
			t.Log(f)
		}
	}
}

// A new version dies, and the kernel resets what it had open. Once the switch
// back is done nothing leads to its port any more, not even for clients that
// come back from source ports that had connections to it.
func TestNothingIsRefusedAfterTheSwitchBack(t *testing.T) {
	for _, b := range []backend{nft, legacy} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			s := setWith(t, b, keys("StandbySec=60s"), map[string]string{
				"/etc/systemd/system/myapp@.service.d/dies.conf": "[Service]\nEnvironment=\"ARGS=-die-after 1s\"\n",
			}, instance("v0", "[Service]\nEnvironment=\"ARGS=-mode quick\"\n"))
			s.deploy("v0")
			stop := s.load(load.Config{
				Short: 8, KeepAlive: 8, Requests: 20, Streams: 4, StreamFor: time.Second,
				Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 20299},
			}, fromItself, fromAnother)
			var dark []window
			const n = 3
			for i := 1; i <= n; i++ {
				unit := fmt.Sprintf("myapp@v%d.service", i)
				w := window{from: time.Now(), v4: true, v6: true}
				s.start(unit)
				s.log("switched back", "from="+unit, "to=myapp@v0.service")
				w.to = s.logged("switched back", "from="+unit)
				dark = append(dark, w)
				time.Sleep(time.Second) // source ports come back: there is nothing to see of it
			}
			result := stop()
			lost, after := 0, 0
			for _, f := range result.Failures {
				switch {
				case f.Version == "v0":
					t.Errorf("lost by the one that lives: %s", f)
				case slices.ContainsFunc(dark, func(w window) bool { return w.excuses(f) }):
					lost++
				default:
					if after++; after <= 10 {
						t.Errorf("after the switch back: %s", f)
					}
				}
			}
			t.Logf("%s: %d versions died, and lost %d; after the switch back %d were lost\n%s", b, n, lost, after, tableOf(t, result))
			if lost == 0 || result.LeftOut > 0 {
				t.Errorf("%d lost, %d left out: the test shows nothing", lost, result.LeftOut)
			}
		})
	}
}

// logged returns when the daemon wrote the first line with all of words.
func (s *stage) logged(words ...string) time.Time {
	s.Helper()
	for line := range strings.Lines(s.do("journalctl --quiet --no-pager --output=short-unix --unit=switcherood.service")) {
		if stamp, _, _ := strings.Cut(line, " "); containsAll(line, words) {
			var sec, usec int64
			if _, err := fmt.Sscanf(stamp, "%d.%d", &sec, &usec); err != nil {
				s.Fatalf("time of %q: %v", line, err)
			}
			return time.Unix(sec, usec*1000)
		}
	}
	s.Fatalf("the log has no %q", words)
	return time.Time{}
}

// Connections that last longer than a version: streams, and one of each
// version that is held all the time.
func TestLongConnectionsOutliveFiveSwitches(t *testing.T) {
	t.Parallel()
	s := set(t, keys("StandbySec=0", "DrainSec=10min"))
	s.deploy("v0")
	stop := s.load(load.Config{
		KeepAlive: 4, Requests: 2000, Streams: 8, StreamFor: 8 * time.Second,
		Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 20199},
	}, fromItself, fromAnother)
	var held []*holder
	for i := range 6 {
		version := fmt.Sprintf("v%d", i)
		if i > 0 {
			s.deploy(version)
		}
		for _, addr := range fromAnother {
			held = append(held, s.hold(addr))
		}
		for j, h := range held {
			h.says(fmt.Sprintf("v%d", j/2))
		}
	}
	result := stop() // once the streams are over
	t.Logf("six versions, five switches\n%s", tableOf(t, result))
	lostNothing(t, result)
	for j, h := range held {
		h.says(fmt.Sprintf("v%d", j/2))
		h.close()
	}
	s.within(time.Minute, "the old ones are stopped", s.onlyRuns("myapp@v5.service"))
}

// The old server is overloaded: its accept queue holds 16, and overflows all
// the time. The kernel drops SYNs that it was to take; the switch must not make
// more of them fail than that, and those that come again go to the new one.
func TestOverloadedOldServer(t *testing.T) {
	for _, b := range []backend{nft, legacy} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			s := setWith(t, b, keys("StandbySec=0", "DrainSec=2min"),
				args("slow1", "-mode slow-accept"), args("slow2", "-mode slow-accept"), args("slow3", "-mode slow-accept"))
			queue := func(n int) { s.do(fmt.Sprintf("echo %d >/proc/sys/net/core/somaxconn", n)) }
			s.deploy("v0")
			stop := s.load(load.Config{
				Short: 48, Timeout: 60 * time.Second,
				Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 20999},
			}, fromItself, fromAnother)
			var overloaded []window
			for i := 1; i <= 3; i++ {
				w := window{from: time.Now(), v4: true, v6: true}
				queue(16) // the server reads it when it listens
				slow := fmt.Sprintf("myapp@slow%d.service", i)
				s.start(slow)
				s.current(slow)
				s.within(20*time.Second, "the queue overflows", func() error {
					if out := s.do("nstat -az TcpExtListenDrops"); !strings.Contains(out, "TcpExtListenDrops") || strings.Contains(out, " 0 ") {
						return fmt.Errorf("%s", out)
					}
					return nil
				})
				queue(4096)
				quick := fmt.Sprintf("myapp@quick%d.service", i)
				s.start(quick)
				s.current(quick)
				w.to = time.Now()
				overloaded = append(overloaded, w)
				s.within(time.Minute, "the others are stopped", s.onlyRuns(quick))
			}
			result := stop()
			again := 0
			for _, f := range result.Failures {
				if f.Class == load.Retransmitted && slices.ContainsFunc(overloaded, func(w window) bool { return w.excuses(f) }) {
					again++
					continue
				}
				t.Errorf("lost: %s", f)
			}
			t.Logf("%s: three switches away from an overloaded server, which let %d SYNs be sent again\n%s", b, again, tableOf(t, result))
		})
	}
}
