package controller

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// world is all that a plan is made from.
type world struct {
	Now          time.Duration               // CLOCK_MONOTONIC
	BootFinished time.Duration               // 0: the boot is under way
	LastCurrent  map[string]string           // service to unit, before this boot
	Units        map[string]Unit             // those that carry the section
	Settings     map[string]*config.Instance // what their files ask for, by unit
	Released     map[string]bool             // units whose section was removed
	State        *State
	Prepared     map[string]preparation // by InvocationID
	Unhealthy    map[string]string      // current ones that fail their probe: why
	Deaf         map[string]bool        // older ones found without listener
	Running      map[task]bool
}

// preparation is the outcome of looking at a candidate.
type preparation struct {
	Asked   string // the settings it was made for
	Targets []nat.Target
	AtBoot  bool // started by the boot, not by an operator
	Err     error
}

// planner collects the actions for one service.
type planner struct {
	*world
	name    string
	svc     *Service
	units   []string // those of the service, in the order of their names
	actions []action
}

// plan returns what to do next, the services in the order of their names.
// Actions that move rules come as they are to be applied: together.
func plan(w *world) []action {
	units := map[string][]string{}
	for name := range w.State.Services {
		units[name] = nil
	}
	for _, unit := range sortedKeys(w.Settings) {
		name := w.Settings[unit].Service
		units[name] = append(units[name], unit)
	}
	var actions []action
	for _, name := range sortedKeys(units) {
		svc := w.State.Services[name]
		if svc == nil {
			svc = &Service{}
		}
		p := &planner{world: w, name: name, svc: svc, units: units[name]}
		p.oldOnes()
		p.revived()
		p.current()
		actions = append(actions, p.actions...)
	}
	return actions
}

func (p *planner) do(a action) { p.actions = append(p.actions, a) }

// start plans a task unless it is under way.
func (p *planner) start(t task, a action) {
	if !p.Running[t] {
		p.do(a)
	}
}

// current keeps the traffic on the newest activation that is fit for it.
func (p *planner) current() {
	cur := p.svc.serving()
	back := p.fallback()
	var u Unit
	var sick string
	if cur != nil {
		u, sick = p.Units[cur.Unit], p.Unhealthy[cur.ID]
	}
	same := cur != nil && u.Invocation == cur.ID
	alive := same && u.running()

	next, ready := p.candidate(alive)
	switch {
	case ready:
		p.do(point{Service: p.name, To: next, ByBoot: p.preferred() != "", Why: "it is ready"})
	case alive && p.Released[cur.Unit]:
		p.do(withdraw{Service: p.name, Release: true, Why: "its [X-Switcheroo] section was removed"})
	case alive && (sick == "" || back == nil):
		p.reconfigure(cur)
		p.watch(cur)
	case back != nil:
		p.do(point{Service: p.name, To: back.Activation, Back: true, Why: cmp.Or(sick, ended(u, same))})
	case cur != nil && (!same || u.refusing()):
		p.do(withdraw{Service: p.name, Why: ended(u, same)})
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

// fallback returns the newest older activation that can take the traffic back.
func (p *planner) fallback() *Retired {
	for _, o := range p.svc.Old {
		u := p.Units[o.Unit]
		if !o.Rejected && !o.Stopping && !p.Deaf[o.ID] && u.Invocation == o.ID && u.running() {
			return o
		}
	}
	return nil
}

// candidate returns the activation to switch to, if one is ready for it. It
// plans the preparation of those that may become one, and what becomes of
// those that may not. alive says whether the current one is.
func (p *planner) candidate(alive bool) (Activation, bool) {
	cur := p.svc.serving()
	preferred := p.preferred()
	var best Activation
	for _, name := range p.units {
		u, in := p.Units[name], p.Settings[name]
		if !u.running() || u.Invocation == "" ||
			cur != nil && cur.ID == u.Invocation || p.svc.old(u.Invocation) != nil {
			continue
		}
		asked := asked(in)
		if r, ok := p.svc.Refused[u.Invocation]; ok && r.Asked == asked {
			continue
		}
		refuse := func(reason string) {
			p.do(refuse{Service: p.name, Unit: name, ID: u.Invocation, Asked: asked, Reason: reason})
		}
		if alive && u.Restarts > 0 && name != cur.Unit {
			if slices.Contains(p.svc.Crashed, name) {
				continue // to be stopped
			}
			refuse("systemd restarted it by itself, which is not a deploy: start it again to switch to it")
			continue
		}
		prep, done := p.Prepared[u.Invocation]
		if !done || prep.Asked != asked {
			p.start(task{prepareTask, u.Invocation}, prepare{Unit: u, Instance: *in, Asked: asked, BootFinished: p.BootFinished})
			continue
		}
		if prep.Err != nil {
			refuse(prep.Err.Error())
			continue
		}
		next := Activation{Unit: name, ID: u.Invocation, ReadyAt: u.ReadyAt, Targets: prep.Targets, Instance: *in}
		if why := p.older(cur, alive, &next); why != "" {
			p.do(supersede{Service: p.name, Activation: next, Why: why})
			continue
		}
		if alive {
			if why := unfit(cur, &next); why != "" {
				refuse(why)
				continue
			}
		}
		if preferred != "" && name != preferred {
			continue // what was current before the boot is still on its way
		}
		if best.ID == "" || newer(&next, &best) {
			best = next
		}
	}
	return best, best.ID != ""
}

// older says why next may not take the traffic from cur although nothing is
// wrong with it, or "".
func (p *planner) older(cur *Activation, alive bool, next *Activation) string {
	switch {
	case !alive || next.Unit == cur.Unit:
		return ""
	case newer(cur, next):
		return cur.Unit + " was ready later"
	case p.svc.ByBoot && p.Prepared[next.ID].AtBoot:
		return cur.Unit + " was current before the boot"
	}
	return ""
}

// unfit says what is wrong with next in the place of cur, or "".
func unfit(cur, next *Activation) string {
	if lost := loses(cur.Targets, next.Targets, &next.Instance); lost != "" {
		return "it does not serve " + lost + ", which " + cur.Unit + " serves: let it listen on the same addresses and families"
	}
	for _, port := range next.ports() {
		if next.Unit != cur.Unit && slices.Contains(cur.ports(), port) {
			return fmt.Sprintf("it shares private port %d with %s: give each instance a port of its own", port, cur.Unit)
		}
	}
	return ""
}

// preferred returns the unit that was current before this boot while it may
// still come up; others wait for it. It is "" if there is none.
func (p *planner) preferred() string {
	name := p.LastCurrent[p.name]
	if p.svc.Current != nil || name == "" {
		return ""
	}
	u := p.Units[name]
	if _, refused := p.svc.Refused[u.Invocation]; refused && u.running() {
		return ""
	}
	if u.running() || u.starting() {
		return name
	}
	return ""
}

// newer reports whether a became ready after b.
func newer(a, b *Activation) bool {
	return cmp.Or(cmp.Compare(a.ReadyAt, b.ReadyAt), cmp.Compare(a.Unit, b.Unit)) > 0
}

// reconfigure follows a unit file that was changed under a running instance.
func (p *planner) reconfigure(cur *Activation) {
	in := p.Settings[cur.Unit]
	if in == nil || asked(in) == asked(&cur.Instance) || in.Service != p.name {
		return
	}
	if routing(in) == routing(&cur.Instance) {
		p.do(adopt{Service: p.name, Instance: *in})
		return
	}
	prep, done := p.Prepared[cur.ID]
	switch a := asked(in); {
	case !done || prep.Asked != a:
		p.start(task{prepareTask, cur.ID}, prepare{Unit: p.Units[cur.Unit], Instance: *in, Asked: a, BootFinished: p.BootFinished})
	case prep.Err == nil:
		next := *cur
		next.Targets, next.Instance = prep.Targets, *in
		p.do(point{Service: p.name, To: next, Why: "its unit file was changed"})
	case p.svc.Refused[cur.ID].Asked != a:
		p.do(refuse{Service: p.name, Unit: cur.Unit, ID: cur.ID, Asked: a, Reason: prep.Err.Error()})
	}
}

// watch probes the current activation for as long as an older one is warm.
func (p *planner) watch(cur *Activation) {
	if cur.Instance.Probe.Kind == config.ProbeNone {
		return
	}
	for _, o := range p.svc.Old {
		if o.standby(p.Now) {
			p.start(task{watchTask, cur.ID}, watch{Service: p.name, Current: *cur, Until: o.StandbyUntil})
			return
		}
	}
}

// standby reports whether o is kept warm at the time now.
func (o *Retired) standby(now time.Duration) bool {
	return !o.Rejected && now < o.StandbyUntil
}

// oldOnes sees every older activation one step further out.
func (p *planner) oldOnes() {
	for _, o := range p.svc.Old {
		u := p.Units[o.Unit]
		switch {
		case u.Invocation != o.ID || u.ended():
			p.do(forget{Service: p.name, Old: *o, Unit: u})
		default:
			p.oldOne(o, u)
		}
	}
}

// revived stops the units of old ones that crashed when systemd brings them
// back by itself: they must neither have the traffic nor linger.
func (p *planner) revived() {
	for _, unit := range p.svc.Crashed {
		switch u := p.Units[unit]; {
		case u.autoRestart(), u.Restarts > 0 && !u.ended() && !u.ending():
			if cur := p.svc.serving(); cur != nil && cur.Unit != unit {
				p.start(task{stopTask, unit}, stop{Service: p.name, Unit: unit, ID: unit})
			}
		case u.Name == "", u.Restarts == 0 && !u.ended():
			// It is gone, or somebody has started it, which sets NRestarts to 0.
			p.do(pardon{Service: p.name, Unit: unit})
		}
	}
}

func (p *planner) oldOne(o *Retired, u Unit) {
	switch {
	case o.Stopping:
		if !u.ending() {
			p.start(task{stopTask, o.ID}, stop{Service: p.name, Unit: o.Unit, ID: o.ID})
		}
	case u.ending(): // by somebody else's hand
	case o.QuiescedAt == 0:
		p.start(task{quiesceTask, o.ID}, quiesce{Service: p.name, Old: *o})
	case o.standby(p.Now):
		p.do(wake{At: o.StandbyUntil})
	case !o.Promoted && p.svc.serving() != nil:
		p.start(task{promoteTask, o.ID}, promote{Service: p.name, Old: *o, To: p.svc.Current.Unit})
	case !o.Drained:
		p.start(task{drainTask, o.ID}, drain{Service: p.name, Old: *o})
	default:
		p.do(dismiss{Service: p.name, ID: o.ID})
	}
}
