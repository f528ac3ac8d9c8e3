package controller

import (
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
)

func TestPlanSeesOut(t *testing.T) {
	checkPlans(t, map[string]planCase{
		"quiesce": when(older(old("c1", early))).want("quiesce c1"),
		"watch, and quiesce": when(older(old("c1", early, func(o *Retired) { o.StandbyUntil = now + 10*time.Second }))).
			want("watch a1 for 10s", "quiesce c1"),
		"quiesce, under way": when(older(old("c1", early)), busy(quiesceTask, "c1")).want(),
		"standby":            when(older(old("c1", early, warm))).want("watch a1 for 5s", "wake in 5s"),
		"standby with Probe=none": when(older(old("c1", early, warm)), func(w *world) {
			w.State.Services["app"].Current.Instance.Probe.Kind = config.ProbeNone
			w.Settings["a"].Probe.Kind = config.ProbeNone
		}).want("wake in 5s"),
		"StandbySec=0": when(older(old("c1", early, func(o *Retired) { o.StandbyUntil, o.QuiescedAt = now, now }))).
			want("promote a instead of c"),
		"promote":            when(older(old("c1", early, quiesced))).want("promote a instead of c"),
		"promote, under way": when(older(old("c1", early, quiesced)), busy(promoteTask, "c1")).want(),
		"one at a time": when(older(old("c1", early, quiesced)), func(w *world) {
			w.Running[task{promoteTask, "b1"}] = true
			w.State.Services["app"].Old = append(w.State.Services["app"].Old, old("b1", early-1, quiesced))
			w.add(up("b1", early-1))
		}).want(),
		"promote a rejected one's successor at once": when(older(old("c1", late, rejected))).want("promote a instead of c"),
		"drain":             when(older(old("c1", early, promoted))).want("drain c1"),
		"drain, under way":  when(older(old("c1", early, promoted)), busy(drainTask, "c1")).want(),
		"dismiss":           when(older(old("c1", early, drained))).want("dismiss c1"),
		"stop":              when(older(old("c1", early, dismissed))).want("stop c if c1"),
		"stop, under way":   when(older(old("c1", early, dismissed)), busy(stopTask, "c1")).want(),
		"stop, accepted":    when(older(old("c1", early, dismissed)), sent(time.Second)).want("wake in 4s"),
		"stop, not heeded":  when(older(old("c1", early, dismissed)), sent(5*time.Second)).want("stop c if c1"),
		"stop, queued":      when(older(old("c1", early, dismissed)), is("c", stopping)).want(),
		"stop, in progress": when(older(old("c1", early, dismissed)), is("c", sigterm)).want(),
		"stopped":           when(older(old("c1", early, dismissed)), unloaded("c")).want("end c1"),
		"stopped, by force": when(older(old("c1", early, dismissed)), is("c", failed)).want("reset c1"),
		"forget":            when(older(old("c1", early, dismissed, dead)), unloaded("c")).want("forget c1"),
		"forget what we have stopped": when(older(old("c1", early, dismissed, dead)), func(w *world) {
			w.add(with(up("c1", early), func(u *Unit) { u.Active = "inactive" }))
			w.Stopped["c1"] = now
		}).want("forget c1"),
		"somebody else stops it":      when(older(old("c1", early, promoted)), is("c", sigterm)).want(),
		"somebody has started it":     when(older(old("c1", early, promoted)), adds(up("c2", late))).want("prepare c2", "end c1"),
		"and it is forgotten":         when(older(old("c1", early, promoted, dead)), adds(up("c2", late))).want("prepare c2", "forget c1"),
		"but not while it is stopped": when(older(old("c1", early, dismissed)), func(w *world) { w.add(up("c2", late)); w.Running[task{stopTask, "c1"}] = true }).want(),
	})
}

func TestPlanEnded(t *testing.T) {
	checkPlans(t, map[string]planCase{
		"a crash while warm":                   when(older(old("c1", early, warm)), is("c", failed)).want("watch a1 for 5s", "end c1"),
		"its enablement waits for standby":     when(older(old("c1", early, warm, dead)), is("c", failed)).want("wake in 5s"),
		"and is moved":                         when(older(old("c1", early, quiesced, dead)), is("c", failed)).want("promote a instead of c"),
		"or waits for one to serve":            when(older(old("c1", early, quiesced, dead)), is("c", failed), down).want(),
		"a failed one may come back":           when(older(old("c1", early, promoted, dead)), is("c", failed)).want(),
		"and is stopped when it is on its way": when(older(old("c1", early, promoted, dead)), is("c", auto)).want("stop c if c1"),
		"and when it is there": when(older(old("c1", early, promoted, dead)), adds(with(up("c2", late), byItself))).
			want("stop c if c2"),
		"but once more only":        when(older(old("c1", early, promoted, dead)), adds(with(up("c2", late), func(u *Unit) { u.Restarts = 1; sigterm(u) }))).want(),
		"and while it was draining": when(older(old("c1", early, promoted)), is("c", auto)).want("stop c if c1"),
		"it is welcome if nothing else serves": when(older(old("c1", early, promoted, dead)), down, adds(with(up("c2", late), byItself))).
			want("prepare c2"),
		"and then it is current": when(older(old("a0", early, promoted, dead)), adds(with(up("a1", 10*time.Second), byItself))).
			want("forget a0"),
	})
}
