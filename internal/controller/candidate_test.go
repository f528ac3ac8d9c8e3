package controller

import (
	"net/netip"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

func TestPlanTakesOver(t *testing.T) {
	checkPlans(t, map[string]planCase{
		"a newer one is looked at": when(adds(up("b1", late))).want("prepare b1"),
		"but once": when(func(w *world) {
			w.add(up("b1", late))
			w.Running[task{prepareTask, "b1"}] = true
		}).want(),
		"and again when its file has changed meanwhile": when(deploy, func(w *world) {
			w.Settings["b"] = asks("b", func(in *config.Instance) { in.Standby = 0 })
		}).want("prepare b1"),
		"a newer one takes over":                       when(deploy).want("point app 443->10002->b1: it is ready"),
		"the newest takes over":                        when(deploy, adds(up("c1", late+1)), ready("c1")).want("point app 443->10003->c1: it is ready"),
		"of equals, the later name":                    when(deploy, adds(up("c1", late)), ready("c1")).want("point app 443->10003->c1: it is ready"),
		"one that starts is not looked at":             when(adds(with(up("b1", late), starting))).want(),
		"one that is being stopped does not take over": when(deploy, adds(with(up("b1", late), stopping))).want(),
		"one that reloads does": when(deploy, adds(with(up("b1", late), func(u *Unit) { u.Active = "reloading" }))).
			want("point app 443->10002->b1: it is ready"),
		"an older one is seen out":             when(adds(up("b1", early)), ready("b1")).want("supersede b1: a was ready later"),
		"the restarted current one takes over": when(adds(up("a2", late)), ready("a2")).want("point app 443->10001->a2: it is ready"),
	})
}

func TestPlanRefused(t *testing.T) {
	checkPlans(t, map[string]planCase{
		"not ready": when(deploy, func(w *world) { w.ready("b1", func(p *preparation) { p.Err = noListener("no listener") }) }).
			want("refuse b1: no listener"),
		"refused stays refused": when(deploy, refused("b1")).want(),
		"even for hours":        when(deploy, refused("b1", func(r *Refusal) { r.At = 0 })).want(),
		"until its file changes": when(deploy, refused("b1"), func(w *world) {
			w.Settings["b"] = asks("b", func(in *config.Instance) { in.Standby = 0 })
		}).want("prepare b1"),
		"but not when only a line has moved": when(deploy, refused("b1"), func(w *world) {
			w.Settings["b"] = asks("b", func(in *config.Instance) { in.ListenAt = []config.Pos{{File: "b", Line: 7}} })
		}).want(),
		"until its reason has passed": when(deploy, refused("b1", func(r *Refusal) { r.Passing = true })).want("wake in 3s"),
		"and then it is looked at anew": when(deploy, refused("b1", func(r *Refusal) { r.Passing = true; r.At = now - 6*time.Second }),
			func(w *world) { w.ready("b1", func(p *preparation) { p.At = now - 7*time.Second }) }).want("prepare b1"),
		"until nothing serves": when(deploy, refused("b1"), down).want("wake in 3s"),
		"and then it is looked at anew, too": when(deploy, refused("b1", func(r *Refusal) { r.At = now - 6*time.Second }), down,
			func(w *world) { w.ready("b1", func(p *preparation) { p.At = now - 7*time.Second }) }).want("prepare b1"),
		"less and less often":     when(deploy, refused("b1", func(r *Refusal) { r.Tries = 100 }), down).want("wake in 58s"),
		"whatever the clock says": when(deploy, refused("b1", func(r *Refusal) { r.At = now + time.Hour }), down).want("prepare b1"),
		"restarted by systemd": when(deploy, adds(with(up("b1", late), byItself))).
			want("refuse b1: systemd restarted it by itself, which is not a deploy: start it again to switch to it"),
		"unless nothing serves": when(deploy, down, adds(with(up("b1", late), byItself))).want("point app 443->10002->b1: it is ready"),
		"or it is the current one's unit": when(func(w *world) {
			w.add(with(up("a2", late), byItself))
			w.ready("a2")
		}).want("point app 443->10001->a2: it is ready"),
		"fewer families": when(deploy, func(w *world) {
			w.ready("b1", func(p *preparation) { p.Targets[0].Families = nat.IPv4 })
		}).want("refuse b1: it does not serve IPv6 on port 443, which a serves: let it listen on the same addresses and families"),
		"fewer addresses": when(deploy, func(w *world) {
			w.ready("b1", func(p *preparation) { p.Targets[0].Endpoint.Addr = netip.MustParseAddr("192.0.2.7") })
		}).want("refuse b1: it does not serve IPv4+IPv6 on port 443, which a serves: let it listen on the same addresses and families"),
		"but better than nothing": when(deploy, is("a", failed), func(w *world) {
			w.ready("b1", func(p *preparation) { p.Targets[0].Families = nat.IPv4 })
		}).want("point app 443->10002->b1: it is ready"),
		"the current one's private port": when(deploy, func(w *world) {
			w.ready("b1", func(p *preparation) { p.Targets[0].Port = port("a") })
		}).want("refuse b1: it shares private port 10001 with a: give each instance a port of its own"),
		"an old one's private port": when(deploy, older(old("c1", early, warm)), func(w *world) {
			w.ready("b1", func(p *preparation) { p.Targets[0].Port = port("c") })
		}).want("refuse b1 for now: it shares private port 10003 with c: give each instance a port of its own", "watch a1 for 5s", "wake in 5s"),
		"another service's private port": when(deploy, func(w *world) {
			cur := activation("z1", early)
			cur.Instance.Service, cur.Targets[0].Port = "web", port("b")
			w.add(up("z1", early))
			w.State.Services["web"] = &Service{Current: &cur}
		}).want("refuse b1 for now: it shares private port 10002 with z: give each instance a port of its own"),
		"a dead one's private port is free": when(deploy, is("a", failed), func(w *world) {
			w.ready("b1", func(p *preparation) { p.Targets[0].Port = port("a") })
		}).want("point app 443->10001->b1: it is ready"),
		"old in another service": when(deploy, func(w *world) {
			w.State.Services["web"] = &Service{Old: []*Retired{old("b1", late, dismissed)}}
			w.Stopped["b1"] = now
		}).want("wake in 5s"),
	})
}

func TestPlanAtBoot(t *testing.T) {
	checkPlans(t, map[string]planCase{
		"the others wait while it starts": when(boot, func(w *world) {
			w.ready("a1")
			w.add(with(up("b1", late), starting))
		}).want(),
		"and while its job is queued": when(boot, func(w *world) {
			w.ready("a1")
			w.add(Unit{Name: "b", Active: "inactive", Job: "start"})
		}).want(),
		"and while it is looked at": when(boot, adds(up("b1", late))).want("prepare a1 boot", "prepare b1 boot"),
		"it wins":                   when(boot, deploy, ready("a1")).want("point app 443->10002->b1 by boot: it is ready"),
		"even if another is newer": when(boot, func(w *world) {
			w.ready("a1")
			w.add(up("b1", early))
			w.ready("b1")
		}).want("point app 443->10002->b1 by boot: it is ready"),
		"they do not wait if it is refused": when(func(w *world) {
			w.LastCurrent["app"] = "b"
			w.State.Services["app"].Current = nil
			w.ready("a1")
			w.add(up("b1", late))
		}, refused("b1")).want("wake in 3s", "point app 443->10001->a1: it is ready"),
		"or if it is not to be started": when(boot, func(w *world) {
			w.ready("a1")
			w.add(Unit{Name: "b", Active: "inactive"})
		}).want("point app 443->10001->a1: it is ready"),
		"or if it has crashed": when(boot, func(w *world) {
			w.ready("a1")
			w.add(with(up("b1", late), auto))
		}).want("point app 443->10001->a1: it is ready"),
		"or if it keeps crashing": when(boot, func(w *world) {
			w.ready("a1")
			w.add(with(up("b1", late), func(u *Unit) { u.Active, u.Restarts = "activating", 3 }))
		}).want("point app 443->10001->a1: it is ready"),
		"or if it is another service's now": when(boot, func(w *world) {
			w.ready("a1")
			w.add(up("b1", late))
			w.Settings["b"].Service = "web"
		}).want("point app 443->10001->a1: it is ready", "prepare b1"),
		"the boot's others are seen out": when(deploy, func(w *world) {
			w.State.Services["app"].ByBoot = true
			w.ready("b1", func(p *preparation) { p.AtBoot = true })
		}).want("supersede b1: a was current before the boot"),
		"an operator's is not": when(deploy, func(w *world) { w.State.Services["app"].ByBoot = true }).
			want("point app 443->10002->b1: it is ready"),
		"later the boot does not matter": when(deploy, func(w *world) { w.ready("b1", func(p *preparation) { p.AtBoot = true }) }).
			want("point app 443->10002->b1: it is ready"),
	})
}

// What a process without the daemon serves is not taken from it, and is had when
// it has ended.
func TestEndpointOfTheLibrary(t *testing.T) {
	bubble(t, func(h *host) {
		d := h.run()
		h.do(func() { h.kernel.claimedBy = `443 is served by "hello" (process 4711)` })
		h.start(v1, app{})
		d.shows("v1=refused ")
		want := `443 is served by "hello" (process 4711), without the daemon: end that first, or give one of them another port`
		if got := d.seen().Instance(v1).Reason; got != want {
			t.Errorf("refused because %q", got)
		}
		time.Sleep(time.Minute)
		h.went()
		h.do(func() { h.kernel.claimedBy = "" })
		h.serves("myapp", v1)
	})
}
