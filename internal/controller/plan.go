package controller

import (
	"cmp"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
)

// planner collects the actions for one service.
type planner struct {
	*world
	name    string
	svc     *Service
	alive   bool   // the current one serves, and nobody has asked it to end
	moving  bool   // the traffic is to move
	target  string // InvocationID that it is to move to
	actions []action
}

// plan returns what to do next, the services in the order of their names.
// Actions that move rules come as they are to be applied: together.
func plan(w *world) []action {
	names := sortedKeys(w.State.Services)
	for name := range w.Members {
		if w.State.Services[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var p planner
	for _, name := range names {
		svc := w.State.Services[name]
		if svc == nil {
			svc = &Service{}
		}
		p = planner{world: w, name: name, svc: svc, actions: p.actions}
		p.current()
		p.oldOnes()
		p.pause()
	}
	return append(p.actions, w.unreserves()...)
}

func (p *planner) do(a action) { p.actions = append(p.actions, a) }

// start plans a task unless it is under way.
func (p *planner) start(t task, a action) {
	if !p.Running[t] {
		p.do(a)
	}
}

// point plans a move of the traffic.
func (p *planner) point(a point) {
	a.Service = p.name
	if cur := p.svc.serving(); cur != nil {
		a.Due = p.Drains[cur.ID]
	}
	p.moving, p.target = true, a.To.ID
	p.do(a)
}

func (p *planner) withdraw(a withdraw) {
	a.Service = p.name
	p.moving = true
	p.do(a)
}

// current keeps the traffic on the newest activation that is fit for it.
func (p *planner) current() {
	cur := p.svc.serving()
	var u Unit
	var sick string
	if cur != nil {
		u, sick = p.Units[cur.Unit], p.Unhealthy[cur.ID]
	}
	same := cur != nil && u.Invocation == cur.ID
	p.alive = same && u.running()
	back := p.fallback()
	preferred := p.preferred()

	next, ready := p.candidate(preferred)
	switch order := p.asked(cur); {
	case order != nil:
		p.point(point{To: order.Activation, Back: true, Why: "a rollback was asked for"})
	case ready:
		p.point(point{To: next, ByBoot: preferred != "", Why: "it is ready"})
	case p.alive && p.disowned(cur) != "":
		p.withdraw(withdraw{Release: true, Why: p.disowned(cur)})
	case p.alive && (sick == "" || back == nil):
		p.reconfigure(cur)
		p.watch(cur)
	case back != nil:
		why := "nothing else serves"
		if cur != nil {
			why = cmp.Or(sick, ended(u, same))
		}
		p.point(point{To: back.Activation, Back: true, Why: why})
	case cur != nil && p.waits(p.svc, cur, u): // clients queue until it is back
	case cur != nil && (!same || u.refusing()):
		p.withdraw(withdraw{Why: ended(u, same)})
	}
}

// ended says in words why the current activation of u is none any more.
func ended(u Unit, same bool) string {
	switch {
	case u.Name == "":
		return "its unit is not loaded any more"
	case !same:
		return "it was restarted"
	case u.ending():
		return "it is being stopped"
	case u.Result != "" && u.Result != "success":
		return "it ended: " + u.Result
	}
	return "it ended"
}

// disowned says why the service is not cur's any more, or "".
func (p *planner) disowned(cur *Activation) string {
	if p.Released[cur.Unit] {
		return "its [X-Switcheroo] section was removed"
	}
	// A name that is free is taken along (rename); this one is in use.
	if in := p.Settings[cur.Unit]; in != nil && in.Service != p.name {
		return "its unit belongs to service " + in.Service + " now"
	}
	return ""
}

// fallback returns the newest older activation that can take the traffic back.
func (p *planner) fallback() *Retired {
	if p.svc.Current == nil {
		return nil // it was given up, not lost
	}
	for _, o := range p.svc.Old {
		if p.returns(o) {
			return o
		}
	}
	return nil
}

// returns reports whether o can take the traffic back.
func (p *planner) returns(o *Retired) bool {
	u := p.Units[o.Unit]
	if o.Rejected || o.Stopping || o.Ended || p.Deaf[o.ID] || u.Invocation != o.ID || !u.running() {
		return false
	}
	r, refused := p.svc.Refused[o.ID]
	return !refused || p.again(r) // its endpoints are another service's
}

// asked returns the older activation that is to have the traffic back by order.
func (p *planner) asked(cur *Activation) *Retired {
	order, ok := p.Asked[p.name]
	if !ok || cur == nil || cur.ID != order.From {
		return nil
	}
	if o := p.svc.old(order.To); o != nil && p.returns(o) {
		return o
	}
	return nil
}

// newer reports whether a became ready after b.
func newer(a, b *Activation) bool {
	return cmp.Or(cmp.Compare(a.ReadyAt, b.ReadyAt), cmp.Compare(a.Unit, b.Unit)) > 0
}

// reconfigure follows a unit file that was changed under a running instance,
// and completes what was only found in the kernel's rules.
func (p *planner) reconfigure(cur *Activation) {
	in := p.Settings[cur.Unit]
	if in == nil || !cur.Found && same(in, &cur.Instance) {
		return
	}
	if !cur.Found && sameRouting(in, &cur.Instance) {
		p.do(adopt{Service: p.name, Instance: *in})
		return
	}
	r, refused := p.svc.Refused[cur.ID]
	if refused && same(in, &r.Asked) && !p.again(r) {
		return
	}
	prep, done := p.Prepared[cur.ID]
	switch {
	case !done || !same(in, &prep.Asked) || refused && prep.At <= r.At:
		p.start(task{prepareTask, cur.ID}, prepare{Unit: p.Units[cur.Unit], Instance: *in, Reserved: p.given(p.Units[cur.Unit])})
	case prep.Err != nil:
		p.do(refuse{Service: p.name, Unit: cur.Unit, ID: cur.ID, Asked: *in, Reason: prep.Err.Error()})
	case sameRouting(in, &cur.Instance) && slices.Equal(prep.Targets, cur.Targets):
		p.do(adopt{Service: p.name, Instance: *in})
	default:
		next := *cur
		next.Targets, next.Lasting, next.Instance, next.Found = prep.Targets, prep.Lasting, *in, false
		why := "its unit file was changed"
		if cur.Found {
			why = "the rules found were not complete"
		}
		p.point(point{To: next, Why: why})
	}
}

// watch probes the current activation for as long as an older one is warm.
func (p *planner) watch(cur *Activation) {
	if cur.Instance.Probe.Kind == config.ProbeNone {
		return
	}
	for _, o := range p.svc.Old {
		if !o.Ended && o.standby(p.Now) {
			p.start(task{watchTask, cur.ID}, watch{Service: p.name, Current: *cur, Until: o.StandbyUntil})
			return
		}
	}
}

// standby reports whether o is kept warm at the time now.
func (o *Retired) standby(now time.Duration) bool {
	return !o.Rejected && now < o.StandbyUntil
}
