package controller

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// In these tests a unit's name is short, and "a1" is the first activation of
// unit a. It was 100 s ago that the host booted.
const now = 100 * time.Second

// asks returns what a unit's file asks for.
func asks(unit string, change ...func(*config.Instance)) *config.Instance {
	in := &config.Instance{Unit: unit, Service: "app", Listen: []config.Listen{{Port: 443}}, Scope: config.Everyone,
		ProbeTimeout: 30 * time.Second, Standby: 10 * time.Second, Drain: time.Minute, Guard: true}
	for _, f := range change {
		f(in)
	}
	return in
}

// up returns the unit of an activation that became ready at a time.
func up(id string, ready time.Duration) Unit {
	return Unit{Name: id[:1], Invocation: id, Active: "active", Sub: "running", Type: "notify", Result: "success", ReadyAt: ready, StartedAt: ready}
}

func with(u Unit, change func(*Unit)) Unit {
	change(&u)
	return u
}

func failed(u *Unit)   { u.Active, u.Sub, u.Result = "failed", "failed", "signal" }
func stopping(u *Unit) { u.Job = "stop" }
func starting(u *Unit) { u.Active, u.Sub = "activating", "start" }
func byItself(u *Unit) { u.Restarts = 1 }
func auto(u *Unit)     { u.Active, u.Sub, u.Result = "activating", "auto-restart", "signal" }
func sigterm(u *Unit)  { u.Active, u.Sub = "deactivating", "stop-sigterm" }

// restarted has the next activation of the current unit on its way.
func restarted(w *world) {
	w.add(with(up("a2", late), starting))
}

// port returns the private port of a unit: a has 10001, b 10002, ...
func port(unit string) uint16 { return 10001 + uint16(unit[0]-'a') }

func targets(unit string) []nat.Target {
	return []nat.Target{{Endpoint: nat.Endpoint{Port: 443}, Port: port(unit), Families: nat.DualStack}}
}

func activation(id string, ready time.Duration) Activation {
	unit := id[:1]
	return Activation{Unit: unit, ID: id, ReadyAt: ready, Since: ready, Targets: targets(unit), Instance: *asks(unit)}
}

func old(id string, ready time.Duration, change ...func(*Retired)) *Retired {
	o := &Retired{Activation: activation(id, ready)}
	for _, f := range change {
		f(o)
	}
	return o
}

func warm(o *Retired)     { o.StandbyUntil, o.QuiescedAt = now+5*time.Second, now-time.Second }
func quiesced(o *Retired) { o.StandbyUntil, o.QuiescedAt = now-5*time.Second, now-20*time.Second }
func promoted(o *Retired) { quiesced(o); o.Promoting, o.Promoted = true, true }
func drained(o *Retired)  { promoted(o); o.Drained = true }
func dismissed(o *Retired) {
	drained(o)
	o.Stopping = true
}
func rejected(o *Retired) { quiesced(o); o.Rejected = true }
func dead(o *Retired)     { o.Ended = true }

// served returns a world in which activation a1 has the traffic of app, and b
// and c are units of it as well.
func served() *world {
	w := newWorld()
	w.Now = now
	w.Families = nat.DualStack
	w.Members = map[string][]string{}
	w.Settings = map[string]*config.Instance{"a": asks("a"), "b": asks("b"), "c": asks("c")}
	w.Released = map[string]bool{}
	w.add(up("a1", 10*time.Second))
	cur := activation("a1", 10*time.Second)
	w.State.Services["app"] = &Service{Current: &cur}
	return &w
}

func (w *world) add(units ...Unit) {
	for _, u := range units {
		w.Units[u.Name] = u
	}
}

// ready notes that id has been found fit.
func (w *world) ready(id string, change ...func(*preparation)) {
	p := preparation{Unit: id[:1], Asked: *w.Settings[id[:1]], At: now, Targets: targets(id[:1])}
	for _, f := range change {
		f(&p)
	}
	w.Prepared[id] = p
}

// show renders an action in few words.
func show(a action) string {
	kind := reflect.TypeOf(a).Name()
	switch a := a.(type) {
	case point:
		s := fmt.Sprintf("point %s %s->%s", a.Service, describe(a.To.Targets), a.To.ID)
		if a.Back {
			s += " back"
		}
		if a.ByBoot {
			s += " by boot"
		}
		return s + ": " + a.Why
	case withdraw:
		if a.Release {
			return "release " + a.Service + ": " + a.Why
		}
		return "withdraw " + a.Service + ": " + a.Why
	case refuse:
		s := "refuse " + a.ID
		if a.Passing {
			s += " for now"
		}
		return s + ": " + a.Reason
	case supersede:
		return "supersede " + a.Activation.ID + ": " + a.Why
	case adopt:
		return "adopt " + a.Instance.Unit
	case wake:
		return fmt.Sprintf("wake in %s", a.At-now)
	case prepare:
		s := "prepare " + a.Unit.Invocation
		if a.Boot {
			s += " boot"
		}
		return s
	case watch:
		return fmt.Sprintf("watch %s for %s", a.Current.ID, a.Until-now)
	case promote:
		return "promote " + a.To + " instead of " + a.Old.Unit
	case stop:
		return "stop " + a.Old.Unit + " if " + a.Invocation
	}
	v := reflect.ValueOf(a)
	if id := v.FieldByName("ID"); id.IsValid() {
		return kind + " " + id.String()
	}
	return kind + " " + v.FieldByName("Old").FieldByName("ID").String()
}

// planCase is a change to the world of served, and what is planned then.
type planCase struct {
	change  []func(*world)
	actions []string
}

func when(change ...func(*world)) planCase { return planCase{change: change} }

func (c planCase) want(actions ...string) planCase {
	c.actions = actions
	return c
}

func checkPlans(t *testing.T, cases map[string]planCase) {
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			w := served()
			for _, f := range tt.change {
				f(w)
			}
			for _, unit := range sortedKeys(w.Settings) {
				service := w.Settings[unit].Service
				w.Members[service] = append(w.Members[service], unit)
			}
			before := asText(t, w.State)
			var got []string
			for _, a := range plan(w) {
				got = append(got, show(a))
			}
			if diff := cmp.Diff(tt.actions, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(before, asText(t, w.State)); diff != "" {
				t.Errorf("the plan has changed the State:\n%s", diff)
			}
		})
	}
}

func asText(t *testing.T, v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// When the others became ready: after a1, and before.
const (
	late  = 50 * time.Second
	early = 5 * time.Second
)

// deploy has b1 ready to take over.
func deploy(w *world) { w.add(up("b1", late)); w.ready("b1") }

// older has an old activation that runs.
func older(o *Retired) func(*world) {
	return func(w *world) {
		w.State.Services["app"].Old = []*Retired{o}
		w.add(up(o.ID, o.ReadyAt))
	}
}

// is changes a unit that is there.
func is(unit string, change func(*Unit)) func(*world) {
	return func(w *world) { w.add(with(w.Units[unit], change)) }
}

func unloaded(unit string) func(*world) { return func(w *world) { delete(w.Units, unit) } }

func sick(w *world) { w.Unhealthy["a1"] = "it failed its probe 3 times in a row: 503" }

func down(w *world) { is("a", failed)(w); w.State.Services["app"].Down = true }

// ready has id found fit.
func ready(id string) func(*world) { return func(w *world) { w.ready(id) } }

// adds has the units as they are given.
func adds(units ...Unit) func(*world) { return func(w *world) { w.add(units...) } }

// sent has StopUnit called for c1 some time ago.
func sent(ago time.Duration) func(*world) { return func(w *world) { w.Stopped["c1"] = now - ago } }

func busy(kind taskKind, id string) func(*world) {
	return func(w *world) { w.Running[task{kind, id}] = true }
}

// refused has had id refused, 2 s ago for the first time.
func refused(id string, change ...func(*Refusal)) func(*world) {
	return func(w *world) {
		r := Refusal{Unit: id[:1], Reason: "nothing listens", Asked: *w.Settings[id[:1]], At: now - 2*time.Second, Tries: 1}
		for _, f := range change {
			f(&r)
		}
		w.State.Services["app"].Refused = map[string]Refusal{id: r}
	}
}

// boot has a and b come up, of which b was current before.
func boot(w *world) {
	w.State.Services = map[string]*Service{}
	w.LastCurrent["app"] = "b"
}

func TestPlanCurrent(t *testing.T) {
	checkPlans(t, map[string]planCase{
		"nothing to do": when().want(),
		"a crash, and one that is warm": when(older(old("c1", early, warm)), is("a", failed)).
			want("point app 443->10003->c1 back: it ended: signal"),
		"a crash, and one that is draining": when(older(old("c1", early, promoted)), is("a", failed)).
			want("point app 443->10003->c1 back: it ended: signal"),
		"a crash, and one about to be stopped": when(older(old("c1", early, drained)), is("a", failed)).
			want("point app 443->10003->c1 back: it ended: signal"),
		"a stop, and one that is warm": when(older(old("c1", early, warm)), is("a", stopping)).
			want("point app 443->10003->c1 back: it is being stopped"),
		"its unit gone, and one that is warm": when(older(old("c1", early, warm)), unloaded("a")).
			want("point app 443->10003->c1 back: its unit is not loaded any more"),
		"a restart, and one that is warm": when(older(old("c1", early, warm)), restarted).
			want("point app 443->10003->c1 back: it was restarted"),
		"sick, and one that is warm": when(older(old("c1", early, warm)), sick).
			want("point app 443->10003->c1 back: it failed its probe 3 times in a row: 503"),
		"a crash, and a newer one": when(older(old("c1", early, warm)), is("a", failed), deploy).
			want("point app 443->10002->b1: it is ready", "wake in 5s"),
		"the newest that is warm": when(is("a", failed), func(w *world) {
			w.State.Services["app"].Old = []*Retired{old("c1", early, warm), old("b1", early-1, warm)}
			w.add(up("c1", early), up("b1", early-1))
		}).want("point app 443->10003->c1 back: it ended: signal", "wake in 5s"),
		"not to a rejected one": when(older(old("c1", early, rejected)), is("a", failed)).want("withdraw app: it ended: signal"),
		"not to one that was sent StopUnit": when(older(old("c1", early, dismissed)), is("a", failed), sent(0)).
			want("withdraw app: it ended: signal", "wake in 5s"),
		"not to one with a stop job": when(older(old("c1", early, warm)), is("a", failed), is("c", stopping)).
			want("withdraw app: it ended: signal"),
		"not to one without listener": when(older(old("c1", early, warm)), is("a", failed), func(w *world) { w.Deaf["c1"] = true }).
			want("withdraw app: it ended: signal", "wake in 5s"),
		"not to another activation of its unit": when(older(old("c1", early, warm)), is("a", failed), adds(up("c2", early))).
			want("prepare c2", "withdraw app: it ended: signal", "end c1"),
		"not to one whose endpoint is taken": when(older(old("c1", early, warm)), is("a", failed), refused("c1", func(r *Refusal) { r.Passing = true })).
			want("wake in 3s", "withdraw app: it ended: signal", "wake in 5s"),
		"a crash, and no other":      when(is("a", failed)).want("withdraw app: it ended: signal"),
		"gone, and no other":         when(unloaded("a")).want("withdraw app: its unit is not loaded any more"),
		"a stop, and no other":       when(is("a", stopping)).want(),
		"SIGTERM, and no other":      when(is("a", sigterm)).want("withdraw app: it is being stopped"),
		"ExecStop=, and no other":    when(adds(with(up("a1", 10*time.Second), func(u *Unit) { sigterm(u); u.Sub = "stop" }))).want(),
		"a restart, and no other":    when(restarted).want("withdraw app: it was restarted"),
		"sick, and no other":         when(sick).want(),
		"down stays down":            when(down).want(),
		"back up when a warm one is": when(down, older(old("c1", early, warm))).want("point app 443->10003->c1 back: nothing else serves"),
		"its section is removed": when(func(w *world) { w.Released["a"] = true; delete(w.Settings, "a") }).
			want("release app: its [X-Switcheroo] section was removed"),
		"released for good": when(older(old("c1", early, warm)), func(w *world) { w.State.Services["app"].Current = nil; delete(w.Settings, "a") }).
			want("wake in 5s"),
		"it joins a service in use": when(func(w *world) {
			w.Settings["a"].Service = "web"
			w.State.Services["web"] = &Service{Down: true, Current: &Activation{Unit: "z", ID: "z1"}}
		}).want("release app: its unit belongs to service web now"),
		"its file is invalid":            when(func(w *world) { delete(w.Settings, "a") }).want(),
		"its file is invalid, and newer": when(func(w *world) { delete(w.Settings, "a") }, deploy).want("point app 443->10002->b1: it is ready"),
		"each by itself": when(deploy, func(w *world) {
			w.Settings["z"] = asks("z", func(in *config.Instance) { in.Service, in.Listen = "web", []config.Listen{{Port: 80}} })
			w.add(up("z1", late))
			w.ready("z1", func(p *preparation) { p.Targets[0].Endpoint.Port = 80 })
		}).want("point app 443->10002->b1: it is ready", "point web 80->10026->z1: it is ready"),
	})
}

func TestPlanChangedFile(t *testing.T) {
	checkPlans(t, map[string]planCase{
		"what moves no rule is adopted": when(func(w *world) { w.Settings["a"].Drain = time.Hour }).want("adopt a"),
		"Listen= is looked at":          when(func(w *world) { w.Settings["a"].Listen[0].Port = 80 }).want("prepare a1"),
		"and re-pointed": when(func(w *world) {
			w.Settings["a"] = asks("a", func(in *config.Instance) { in.Listen = []config.Listen{{Port: 80}} })
			w.ready("a1", func(p *preparation) { p.Targets[0].Endpoint.Port = 80 })
		}).want("point app 80->10001->a1: its unit file was changed"),
		"or refused": when(func(w *world) {
			w.Settings["a"] = asks("a", func(in *config.Instance) { in.Listen = []config.Listen{{Port: 80}} })
			w.ready("a1", func(p *preparation) { p.Err = noListener("nothing listens") })
		}).want("refuse a1: nothing listens"),
		"once": when(func(w *world) {
			w.Settings["a"] = asks("a", func(in *config.Instance) { in.Listen = []config.Listen{{Port: 80}} })
			w.ready("a1", func(p *preparation) { p.Err = noListener("nothing listens") })
		}, refused("a1")).want(),
		"an endpoint that is taken does not spin": when(func(w *world) {
			w.Settings["a"] = asks("a", func(in *config.Instance) { in.Listen = []config.Listen{{Port: 80}} })
			w.ready("a1", func(p *preparation) { p.Targets[0].Endpoint.Port = 80 })
		}, refused("a1", func(r *Refusal) { r.Passing = true })).want("wake in 3s"),
		"rules found are looked at": when(func(w *world) { w.State.Services["app"].Current.Found = true }).want("prepare a1"),
		"and completed": when(func(w *world) {
			w.State.Services["app"].Current.Found = true
			w.State.Services["app"].Current.Targets[0].Families = nat.IPv4
			w.ready("a1")
		}).want("point app 443->10001->a1: the rules found were not complete"),
		"or found complete": when(func(w *world) { w.State.Services["app"].Current.Found = true; w.ready("a1") }).want("adopt a"),
	})
}
