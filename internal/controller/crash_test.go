package controller

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// lives are scenarios that have to end alike wherever the daemon is killed in
// them. Each is done when nothing is left to do.
var lives = map[string]struct {
	play  func(*host)
	flips bool // the traffic returns to where it was before
}{
	"first": {play: func(h *host) {
		h.start(v1, app{})
		h.deployed(v1)
	}},
	"deploy": {play: func(h *host) {
		h.systemctl("enable", v1)
		h.start(v1, app{busy: 3 * time.Second})
		h.deployed(v1)
		h.start(v2, app{})
		h.deployed(v2, v1)
	}},
	"adoption": {play: func(h *host) {
		h.systemctl("enable", plain)
		h.do(func() { h.remembers = 1 })
		h.start(plain, app{port: 443, file: adopted, kind: "simple", busy: 3 * time.Second})
		h.deployed(plain)
		h.start(v2, app{})
		h.deployed(v2, plain)
	}},
	"deploy while another drains": {play: func(h *host) {
		h.systemctl("enable", v1)
		h.start(v1, app{file: "Listen=443\nStandbySec=0", busy: 20 * time.Second})
		h.deployed(v1)
		h.start(v2, app{file: "Listen=443\nStandbySec=0", busy: 5 * time.Second})
		h.serves("myapp", v2)
		time.Sleep(time.Second)
		h.start(v3, app{file: "Listen=443\nStandbySec=0"})
		h.deployed(v3, v1, v2)
	}},
	"stopped by force": {play: func(h *host) {
		h.start(v1, app{killed: true, stopTakes: 10 * time.Second})
		h.deployed(v1)
		h.start(v2, app{})
		h.deployed(v2, v1)
	}},
	"never ready": {play: func(h *host) {
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{readyAfter: -time.Second})
		h.is(v2, "failed")
		h.deployed(v1)
	}},
	"no listener": {play: func(h *host) {
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{deaf: true})
		h.until("refused", time.Minute, func() bool { return len(h.service("myapp").Refused) == 1 })
		h.deployed(v1)
	}},
	"dies after the switch": {flips: true, play: func(h *host) {
		h.systemctl("enable", v1)
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{dieAfter: 5 * time.Second})
		h.serves("myapp", v2)
		h.is(v2, "failed")
		h.serves("myapp", v1)
		h.doneWith(v2)
	}},
	"sick after the switch": {flips: true, play: func(h *host) {
		h.start(v1, app{file: "Listen=443\nStandbySec=1min"})
		h.deployed(v1)
		h.start(v2, app{file: "Listen=443\nStandbySec=1min", sickAfter: 5 * time.Second})
		h.serves("myapp", v2)
		time.Sleep(6 * time.Second)
		h.deployed(v1, v2)
	}},
	"dies with no other": {play: func(h *host) {
		h.start(v1, app{})
		h.deployed(v1)
		h.crash(v1)
		h.serves("myapp", "")
		h.start(v2, app{})
		h.serves("myapp", v2)
		h.doneWith(v1)
	}},
	"restarted": {play: func(h *host) {
		h.start(v1, app{stopTakes: time.Second, readyAfter: time.Second})
		h.deployed(v1)
		h.systemctl("restart", v1)
		time.Sleep(3 * time.Second)
		h.deployed(v1)
	}},
	"deploy of what is started by exec": {play: func(h *host) {
		h.start(v1, app{exec: true, busy: time.Second})
		h.deployed(v1)
		h.start(v2, app{exec: true})
		h.deployed(v2, v1)
		h.systemctl("stop", v2)
		time.Sleep(3 * time.Second)
	}},
	"restarted, and started by exec": {play: func(h *host) {
		h.start(v1, app{exec: true, stopTakes: time.Second, readyAfter: time.Second})
		h.deployed(v1)
		h.systemctl("restart", v1)
		time.Sleep(3 * time.Second)
		h.deployed(v1)
	}},
	"stopped right after the switch": {flips: true, play: func(h *host) {
		h.start(v1, app{})
		h.deployed(v1)
		h.start(v2, app{stopTakes: time.Second})
		h.serves("myapp", v2)
		h.systemctl("stop", v2)
		time.Sleep(3 * time.Second)
		h.deployed(v1, v2)
	}},
	"a draining one crashes and is restarted": {play: func(h *host) {
		h.start(v1, app{file: "Listen=443\nStandbySec=0", busy: time.Hour, restart: 100 * time.Millisecond})
		h.deployed(v1)
		h.start(v2, app{file: "Listen=443\nStandbySec=0"})
		h.serves("myapp", v2)
		time.Sleep(time.Second)
		h.crash(v1)
		h.deployed(v2, v1)
	}},
	"two services": {play: func(h *host) {
		h.start(v1, app{})
		h.start("other@v1.service", app{file: "Listen=80"})
		h.deployed(v1)
		h.start(v2, app{})
		h.start("other@v2.service", app{file: "Listen=80"})
		h.serves("other", "other@v2.service")
		h.is("other@v1.service", "inactive")
		h.deployed(v2, v1)
		h.until("nothing is left to do", time.Minute, func() bool { return len(h.service("other").Old) == 0 })
	}},
	"Listen= edited": {play: func(h *host) {
		h.start(v1, app{})
		h.deployed(v1)
		h.edit(v1, "[X-Switcheroo]\nListen=80\n")
		h.until("moved", time.Minute, func() bool {
			s := h.service("myapp")
			return s.Current != nil && s.Current.Targets[0].Endpoint.Port == 80
		})
		h.deployed(v1)
	}},
}

// The daemon is killed before every single call that it makes, and between the
// commits of the two families, and started again; or another program flushes
// the rules of one family before it is.
func TestKilledAnywhere(t *testing.T) {
	for name, life := range lives {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want string
			var calls, applies int
			bubble(t, func(h *host) {
				h.supervise()
				h.watchRules(time.Second)
				life.play(h)
				time.Sleep(20 * time.Second)
				want = h.summary()
				h.do(func() { calls, applies = h.calls, h.kernel.applies })
			})
			if calls < 5 || applies < 1 {
				t.Fatalf("only %d calls", calls)
			}
			check := func(at string, arm func(*host)) {
				t.Run(at, func(t *testing.T) {
					bubble(t, func(h *host) {
						arm(h)
						h.supervise()
						h.watchRules(time.Second)
						life.play(h)
						time.Sleep(20 * time.Second)
						if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(h.summary(), "\n")); diff != "" {
							t.Errorf("ends differently (-undisturbed +killed):\n%s", diff)
						}
						h.do(func() {
							// A state that was never saved cannot tell what IPv6 led to.
							if h.kernel.halves > 0 && !h.kernel.unknown {
								t.Error("a service has lost a family for a while")
							}
							if h.kernel.lopsided > 0 && !h.kernel.unknown {
								t.Error("a service was given one family alone")
							}
						})
						// What IPv4 led to may be known to nobody.
						if path := h.path(); !life.flips && !h.kernel.flushed && returns(path) {
							t.Errorf("the traffic went back and forth: %v", path)
						}
					})
				})
			}
			for n := 1; n <= calls; n++ {
				check(fmt.Sprint("call ", n), func(h *host) {
					h.before = func(call string) error {
						if h.count() == n {
							h.do(func() { fmt.Fprintf(&h.log, "killed before %s\n", call) })
							h.die()
						}
						return nil
					}
				})
			}
			for i, family := range []nat.Family{nat.IPv4, nat.IPv6} {
				for n := 1; n <= calls; n++ {
					check(fmt.Sprint("call ", n, " and ", family, " flushed"), func(h *host) {
						h.before = func(call string) error {
							if h.count() == n {
								h.do(func() {
									fmt.Fprintf(&h.log, "killed before %s, %s flushed\n", call, family)
									h.kernel.unknown = h.kernel.unsaved(h.state)
									h.kernel.flushed = true
									h.kernel.families[i] = map[string]installed{}
								})
								h.die()
							}
							return nil
						}
					})
				}
			}
			for n := 1; n <= applies; n++ {
				check(fmt.Sprint("between families ", n), func(h *host) {
					h.kernel.between = func() error {
						if h.kernel.applies == n {
							h.kernel.applies++
							h.kernel.unknown = h.kernel.unsaved(h.state)
							h.daemon.dead = true
							h.daemon.cancel()
							return errDead
						}
						return nil
					}
				})
			}
		})
	}
}

// returns reports whether path leads back to where it was.
func returns(path []string) bool {
	seen := map[string]bool{}
	for _, id := range path {
		if seen[id] {
			return true
		}
		seen[id] = true
	}
	return false
}
