package controller

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var (
	firstLife = flag.Uint64("first-life", 1, "seed of the first life that TestModel plays")
	lifeCount = flag.Uint64("lives", 40, "how many lives TestModel plays")
)

// TestModel plays random lives: operators, crashes, faults of everything, and a
// daemon that is killed now and then. Whatever happened, some minutes later all
// is as it should be; and at no time do rules point at what does not run, or is
// what has the traffic stopped by the daemon (see daemon.Stop).
func TestModel(t *testing.T) {
	for seed := *firstLife; seed < *firstLife+*lifeCount; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(h *host) {
				m := &model{host: h, rand: rand.New(rand.NewPCG(seed, 7))}
				m.supervise()
				m.watchRules(5 * time.Second)
				for _, service := range []string{"a", "b"} {
					m.systemctl("enable", m.unit(service, 1))
					m.start(m.unit(service, 1), app{file: m.file(service)})
				}
				time.Sleep(time.Second)
				for range 30 {
					m.step()
					time.Sleep(time.Duration(m.rand.ExpFloat64() * float64(4*time.Second)))
				}
				m.settle()
				m.check()
			})
		})
	}
}

type model struct {
	*host
	rand *rand.Rand
}

func (m *model) unit(service string, n int) string { return fmt.Sprintf("%s@v%d.service", service, n) }

func (m *model) file(service string) string {
	port := map[string]int{"a": 443, "b": 80}[service]
	return fmt.Sprintf("Listen=%d\nStandbySec=%d\nDrainSec=%d\nProbeTimeoutSec=5", port, m.rand.IntN(3)*5, m.rand.IntN(3)*10)
}

func (m *model) say(format string, args ...any) {
	m.do(func() {
		fmt.Fprintf(&m.log, "%10s --- %s\n", (m.now() - time.Hour).Round(time.Millisecond), fmt.Sprintf(format, args...))
	})
}

// app returns one that behaves well as often as not.
func (m *model) app(service string) app {
	a := app{file: m.file(service), busy: time.Duration(m.rand.IntN(30)) * time.Second, stopTakes: time.Duration(m.rand.IntN(2000)) * time.Millisecond}
	second := func(n int) time.Duration { return time.Duration(1+m.rand.IntN(n)) * time.Second }
	switch m.rand.IntN(16) {
	case 0:
		a.readyAfter = -second(5)
	case 1:
		a.dieAfter = second(20)
	case 2:
		a.sickAfter = second(20)
	case 3:
		a.deaf = true
	case 4:
		a.dieAfter, a.restart = second(20), second(3)
	case 5:
		a.killed = true
	case 6:
		a.listen = []Listener{{Addr: netip.MustParseAddrPort("0.0.0.0:0")}}
	case 7:
		a.kind, a.bindAfter = "simple", second(8)
	case 8:
		a.readyAfter = second(10)
	}
	a.exec = !a.deaf && a.listen == nil && a.kind == "" && m.rand.IntN(3) == 0
	return a
}

// step is one thing that happens.
func (m *model) step() {
	service := []string{"a", "b"}[m.rand.IntN(2)]
	unit := m.unit(service, 1+m.rand.IntN(4))
	loaded := false
	m.do(func() { loaded = m.units[unit] != nil })
	switch n := m.rand.IntN(22); {
	case n < 8:
		if m.active(unit) == "active" {
			return
		}
		a := m.app(service)
		m.say("start %s %+v", unit, a)
		m.start(unit, a)
	case n < 10 && loaded:
		m.say("restart %s", unit)
		m.systemctl("restart", unit)
	case n < 12 && loaded:
		m.say("stop %s", unit)
		m.systemctl("stop", unit)
	case n < 14 && m.active(unit) == "active":
		m.say("crash %s", unit)
		m.crash(unit)
	case n == 14:
		m.say("reload")
		m.reload()
	case n == 15 && loaded:
		file := m.file(service)
		m.say("edit %s %q", unit, file)
		m.edit(unit, "[X-Switcheroo]\n"+file+"\n")
	case n == 16:
		m.say("kill the daemon")
		m.die()
	case n == 17:
		var left atomic.Int32
		left.Store(int32(1 + m.rand.IntN(30)))
		m.say("kill the daemon %d calls later", left.Load())
		m.hook(func(string) error {
			if left.Add(-1) == 0 {
				m.die()
			}
			return nil
		})
	case n == 18:
		kinds := [][]string{{"Apply"}, {"Save"}, {"Status", "Stop", "Enable", "Disable", "ResetFailed"}, {"Listeners"}, {"Quiesce", "Drain"}, {"Probe"}, {"Read"}}
		kind := kinds[m.rand.IntN(len(kinds))]
		m.say("%v fails", kind)
		hook, _ := fails(errors.New("it fails"), kind...)
		m.do(func() { m.before, m.faulty = hook, true })
		time.Sleep(time.Duration(m.rand.IntN(8000)) * time.Millisecond)
		m.say("%v works again", kind)
		m.do(func() { m.before, m.faulty = nil, false })
	case n == 20:
		most := time.Duration(1+m.rand.IntN(40)) * time.Second
		m.say("pause %s for %s", service, most)
		m.do(func() { d := m.daemon; go d.Pause(m.ctx, service, most) })
	case n == 21:
		m.say("resume %s", service)
		m.do(func() { d := m.daemon; go d.Resume(m.ctx, service) })
	case n == 19:
		m.say("flush")
		var d *daemon
		m.do(func() {
			m.kernel.families = [2]map[string]installed{{}, {}}
			d = m.daemon
		})
		d.RulesChanged()
	}
}

// settle waits until nothing happens any more but what apps do by themselves
// again and again.
func (m *model) settle() {
	m.do(func() { m.before, m.faulty = nil, false })
	m.say("from now on, nothing happens")
	time.Sleep(4 * time.Minute)
	// One that serves, crashes, and is restarted again and again, may be in the
	// middle of it.
	for _, service := range []string{"a", "b"} {
		m.until(service+" is between two crashes", time.Minute, func() bool { return m.calm(service) })
	}
}

func (m *model) calm(service string) (calm bool) {
	serving := m.serving(service)
	m.do(func() {
		u := m.units[serving]
		calm = u == nil && !m.fit(service) || u != nil && u.up()
	})
	return calm
}

// fit reports whether there is one that could serve.
func (m *model) fit(service string) bool {
	for name, u := range m.units {
		if strings.HasPrefix(name, service+"@") && u.running() && u.listeners != nil && m.now() > u.boundAt+time.Second &&
			(u.sickAfter == 0 || m.now() < u.ReadyAt+u.sickAfter) {
			return true
		}
	}
	return false
}

// check checks what has to be so when all is calm.
func (m *model) check() {
	summary := m.summary()
	m.do(func() {
		if len(m.kernel.holds) > 0 {
			m.t.Errorf("held for ever: %+v", m.kernel.holds)
		}
	})
	saved := m.saved()
	for _, service := range []string{"a", "b"} {
		serving := m.serving(service)
		svc := saved.Services[service]
		if svc == nil {
			m.t.Errorf("%s is forgotten:\n%s", service, summary)
			continue
		}
		m.do(func() {
			if serving == "" && m.fit(service) {
				m.t.Errorf("nothing serves %s, although something could:\n%s", service, summary)
			}
			if serving == "?" || serving != "" && !m.runs(m.units[serving].Invocation) {
				m.t.Errorf("%q serves %s:\n%s", serving, service, summary)
			}
			for name, u := range m.units {
				if _, refused := svc.Refused[u.Invocation]; strings.HasPrefix(name, service+"@") && u.up() && name != serving && !refused {
					m.t.Errorf("%s was neither refused nor stopped:\n%s", name, summary)
				}
			}
			var enabled []string
			for _, name := range slices.Sorted(maps.Keys(m.enabled)) {
				if m.enabled[name] && strings.HasPrefix(name, service+"@") {
					enabled = append(enabled, name)
				}
			}
			if len(enabled) != 1 || serving != "" && enabled[0] != serving {
				m.t.Errorf("%q serves %s, enabled is %v:\n%s", serving, service, enabled, summary)
			}
		})
		for _, o := range svc.Old {
			if !o.Ended {
				m.t.Errorf("%s is still there:\n%s", o.ID, summary)
			}
		}
	}
}
