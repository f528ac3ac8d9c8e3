package controller

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fails returns a hook that has calls of a kind fail, and counts them.
func fails(err error, kinds ...string) (hook func(string) error, n *atomic.Int32) {
	n = new(atomic.Int32)
	return func(call string) error {
		for _, kind := range kinds {
			if strings.HasPrefix(call, kind) {
				n.Add(1)
				return err
			}
		}
		return nil
	}, n
}

// few checks that something was tried again, but not in a hurry.
func (h *host) few(what string, n *atomic.Int32, atLeast, atMost int32) {
	h.t.Helper()
	if got := n.Load(); got < atLeast || got > atMost {
		h.t.Errorf("%s: %d times, want %d to %d", what, got, atLeast, atMost)
	}
}

func TestLockIsHeldByOthers(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.do(func() { h.kernel.lockedBy = new(daemon) })
		h.start(v2, app{})
		time.Sleep(2 * time.Minute)
		h.went("myapp-v1-1")
		if err := d.Ping(h.ctx); err != nil {
			t.Errorf("the loop does not turn: %v", err)
		}
		// Tried every few seconds, and told every minute.
		if n := h.logged("rules not changed", "deadline exceeded"); n < 2 || n > 3 {
			t.Errorf("told %d times", n)
		}
		h.do(func() { h.kernel.lockedBy = nil })
		h.serves("myapp", v2)
		h.deployed(v2, v1)
	})
}

// Who asks why nothing moves is told while the loop itself waits, and after.
func TestBlocked(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.deployed(v1)
		if why := d.Blocked(); why != "" {
			t.Errorf("nothing is in the way, and it says %q", why)
		}
		h.do(func() { h.kernel.lockedBy = new(daemon) })
		h.start(v2, app{})
		h.until("it waits", time.Minute, func() bool { return d.Blocked() != "" })
		if why := d.Blocked(); why != "process 4711 (test)" {
			t.Errorf("while it waits: %q", why)
		}
		time.Sleep(time.Minute)
		if why := d.Blocked(); why != "context deadline exceeded" {
			t.Errorf("after a try: %q", why)
		}
		h.do(func() { h.kernel.lockedBy = nil })
		h.serves("myapp", v2)
		synctest.Wait()
		if why := d.Blocked(); why != "" {
			t.Errorf("afterwards: %q", why)
		}
	})
}

// A view tells the activation that the rules lead to from the one that runs.
func TestViewWhileTheRulesLag(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.until("it serves", time.Minute, func() bool { return d.seen().Instance(v1).Serves() })
		h.do(func() { h.kernel.lockedBy = new(daemon) })
		h.systemctl("stop", v1)
		h.is(v1, "inactive")
		time.Sleep(time.Minute)
		if in := d.seen().Instance(v1); in.Role != RoleCurrent || in.Serves() {
			t.Errorf("it is %s, serves %v", roleNames[in.Role], in.Serves())
		}
		h.start(v1, app{})
		time.Sleep(time.Minute)
		if in := d.seen().Instance(v1); in.Role != RoleCurrent || in.Serves() || in.Activation == in.Status.Invocation {
			t.Errorf("it is %s, serves %v", roleNames[in.Role], in.Serves())
		}
		h.do(func() { h.kernel.lockedBy = nil })
		h.until("it serves again", time.Minute, func() bool { return d.seen().Instance(v1).Serves() })
	})
}

func TestLockIsHeldAtTheStart(t *testing.T) {
	bubble(t, func(h *host) {
		h.do(func() { h.kernel.lockedBy = new(daemon) })
		d := h.run()
		h.start(v1, app{})
		time.Sleep(time.Minute)
		if d.ready.Load() {
			t.Error("ready before it has seen the rules")
		}
		h.do(func() { h.kernel.lockedBy = nil })
		h.deployed(v1)
		if !d.ready.Load() {
			t.Error("not ready")
		}
	})
}

func TestApplyFailsForAWhile(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.deployed(v1)
		hook, n := fails(errors.New("iptables: resource temporarily unavailable"), "Apply")
		h.hook(hook)
		h.start(v2, app{})
		time.Sleep(time.Minute)
		h.went("myapp-v1-1")
		for range 1000 { // no matter what else happens
			h.reload()
			time.Sleep(time.Millisecond)
		}
		h.few("Apply", n, 10, 30)
		// What can be done without rules is done.
		h.start("other@v1.service", app{file: "Listen=80", deaf: true})
		h.until("refused", time.Minute, func() bool { return h.logged("not switched to", "other@v1") == 1 })
		h.hook(nil)
		h.deployed(v2, v1)
	})
}

// IPv4 leads to the new one already, IPv6 does not, and then the new one dies:
// the plan is to stay where it was, but the rules are not there.
func TestApplyFailsBetweenTheFamilies(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.watchRules(time.Second)
		h.start(v1, app{})
		h.deployed(v1)
		h.do(func() {
			h.kernel.between = func() error {
				h.kernel.between = nil
				h.end(h.units[v2], "signal")
				return errors.New("ip6tables-restore: killed")
			}
		})
		h.start(v2, app{})
		time.Sleep(time.Second)
		h.went("myapp-v1-1", "myapp-v2-1", "myapp-v1-1")
		if got := h.serving("myapp"); got != v1 {
			t.Errorf("%q serves", got)
		}
	})
}

func TestRulesAreFlushed(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.do(func() { h.kernel.families = [2]map[string]installed{{}, {}} })
		d.RulesChanged()
		d.RulesChanged()
		h.until("repaired", time.Second, func() bool { return h.serving("myapp") == v1 })
		h.stays(time.Hour)
	})
}

// A commit is told of whosever it is. Only another's is a reason to look.
func TestRulesAreCommitted(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.deployed(v1)
		calls := h.record("")
		d.RulesCommitted()
		time.Sleep(time.Minute)
		h.do(func() {
			if diff := cmp.Diff([]string{"Touched"}, *calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			h.kernel.touched = true
			h.kernel.families = [2]map[string]installed{{}, {}}
		})
		d.RulesCommitted()
		h.until("repaired", time.Second, func() bool { return h.serving("myapp") == v1 })
	})
}

func TestStoreFails(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.deployed(v1)
		hook, n := fails(errors.New("no space left on device"), "Save")
		h.hook(hook)
		h.start(v2, app{})
		h.is(v1, "inactive")
		time.Sleep(time.Minute)
		h.few("Save", n, 10, 60)
		if got := h.logged("state not saved"); got != 1 {
			t.Errorf("told %d times", got)
		}
		h.hook(nil)
		h.until("saved", 10*time.Second, func() bool { return h.service("myapp").Current.Unit == v2 })
	})
}

// systemd does not answer, and nothing is heard of it: what is, stays, and
// what was begun is finished when it is back.
func TestSystemdIsAway(t *testing.T) {
	for after := range 30 {
		t.Run(fmt.Sprint("after ", after, "s"), func(t *testing.T) {
			bubble(t, func(h *host) {
				h.run()
				h.systemctl("enable", v1)
				h.start(v1, app{busy: 10 * time.Second})
				h.deployed(v1)
				h.start(v2, app{})
				h.serves("myapp", v2)
				time.Sleep(time.Duration(after) * time.Second)
				hook, n := fails(errAway, "Status", "Stop", "Enable", "Disable", "ResetFailed", "BootFinished")
				h.do(func() {
					h.before = hook
					h.events = func(Event) []Event { return nil }
				})
				time.Sleep(20 * time.Second)
				h.few("calls", n, 0, 60)
				if got := h.serving("myapp"); got != v2 {
					t.Errorf("%q serves", got)
				}
				h.do(func() { h.before, h.events = nil, nil })
				h.reload()
				h.deployed(v2, v1)
				h.boots(v2)
				h.went("myapp-v1-1", "myapp-v2-1")
			})
		})
	}
}

// A new version that cannot be enabled: a reboot had better start the old one
// than none.
func TestEnableFails(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.systemctl("enable", v1)
		h.start(v1, app{})
		h.deployed(v1)
		hook, n := fails(Permanent{errors.New("its file has no [Install] section")}, "Enable "+v2)
		h.hook(hook)
		h.start(v2, app{})
		h.deployed(v2, v1)
		h.boots(v1)
		h.few("Enable", n, 1, 1)
		if h.logged("enablement did not follow", "no [Install] section") != 1 {
			t.Error("not told")
		}
	})
}

// systemd is away when the daemon starts again: nothing is done on the strength
// of a picture that cannot be verified.
func TestResyncOmitsWhatRuns(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprint("away ", away), func(t *testing.T) {
			bubble(t, func(h *host) {
				h.run()
				h.start(v1, app{busy: time.Hour})
				h.deployed(v1)
				h.start(v2, app{})
				h.serves("myapp", v2)
				time.Sleep(time.Second)
				for _, again := range []bool{false, true} {
					if again {
						h.kill()
					}
					h.do(func() {
						h.events = func(e Event) []Event {
							if e.Kind == Resync {
								e.Units = nil
							}
							return []Event{e}
						}
						if away {
							h.before, _ = fails(errAway, "Status")
						}
					})
					if again {
						h.run()
					}
					h.reload()
					time.Sleep(10 * time.Second)
					h.went("myapp-v1-1", "myapp-v2-1")
					h.stopped()
				}
				// Their end is seen all the same.
				h.do(func() {
					h.before = nil
					h.events = func(Event) []Event { return nil }
				})
				h.crash(v2)
				time.Sleep(10 * time.Second)
				h.went("myapp-v1-1", "myapp-v2-1", "myapp-v1-1")
			})
		})
	}
}

// Signals are hints: they come twice, late, in another order, or not at all if
// another one follows.
func TestEventsInDisorder(t *testing.T) {
	for seed := range uint64(50) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(h *host) {
				random := rand.New(rand.NewPCG(seed, 0))
				var held []Event
				h.events = func(e Event) (out []Event) {
					if e.Kind == Resync {
						return []Event{e}
					}
					switch held = append(held, e); random.IntN(4) {
					case 0: // later
						return nil
					case 1:
						out = append(held, held...)
					case 2:
						random.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
						out = append(held, e)
					default: // what came before it is of no interest any more
						out = []Event{e}
					}
					held = nil
					return out
				}
				h.group.Go(func() { // and the last one comes in the end
					for sleep(h.ctx, 200*time.Millisecond) == nil {
						h.do(h.resync)
					}
				})
				h.run()
				h.watchRules(time.Second)
				h.start(v1, app{readyAfter: 50 * time.Millisecond})
				h.serves("myapp", v1)
				h.start(v2, app{readyAfter: 50 * time.Millisecond})
				h.serves("myapp", v2)
				time.Sleep(time.Second)
				h.crash(v2)
				h.serves("myapp", v1)
				h.start(v3, app{})
				h.serves("myapp", v3)
				h.is(v1, "inactive")
				h.went("myapp-v1-1", "myapp-v2-1", "myapp-v1-1", "myapp-v3-1")
			})
		})
	}
}

// Before the first Resync nothing is known, so nothing is done.
func TestNothingBeforeTheFirstResync(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{})
		h.deployed(v1)
		h.kill()
		h.events = func(e Event) []Event { return nil }
		d := h.run()
		time.Sleep(time.Hour)
		if got := h.serving("myapp"); got != v1 || d.ready.Load() {
			t.Errorf("%q serves, ready %v", got, d.ready.Load())
		}
		h.do(func() { h.events = nil })
		h.reload()
		h.until("ready", time.Second, d.ready.Load)
		h.went("myapp-v1-1")
	})
}

func TestEventsEnd(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.start(v1, app{})
		h.deployed(v1)
		before := h.count()
		h.do(func() {
			close(d.events)
			h.events = func(e Event) []Event { return nil }
		})
		time.Sleep(time.Hour)
		if n := h.count() - before; n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

// A unit that refuses to be stopped (RefuseManualStop=) is asked again, but
// not in a hurry; and so is one that says yes and goes on.
func TestStopIsRefused(t *testing.T) {
	for name, err := range map[string]error{"refused": errors.New("operation refused"), "ignored": errIgnore} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *host) {
				h.run()
				h.start(v1, app{})
				h.deployed(v1)
				h.start(v2, app{})
				h.serves("myapp", v2)
				hook, n := fails(err, "Stop ")
				h.hook(hook)
				time.Sleep(2 * time.Minute)
				h.few("Stop", n, 10, 40)
				h.start(v3, app{})
				h.serves("myapp", v3)
				h.hook(nil)
				h.deployed(v3, v1, v2)
			})
		})
	}
}

// One that takes long to stop is told once.
func TestStopTakesLong(t *testing.T) {
	bubble(t, func(h *host) {
		h.run()
		h.start(v1, app{stopTakes: 5 * time.Minute})
		h.deployed(v1)
		h.start(v2, app{})
		h.deployed(v2, v1)
		h.stopped(v1)
	})
}
