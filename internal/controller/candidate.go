package controller

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
)

// What was refused for a reason that may pass is tried again, at first after
// minAgain, then after twice as long each time up to maxAgain.
const (
	minAgain = 5 * time.Second
	maxAgain = time.Minute
)

// candidate returns the activation to switch to, if one is ready for it. It
// plans the preparation of those that may become one, and what becomes of
// those that may not. The others wait for preferred.
func (p *planner) candidate(preferred string) (best Activation, ready bool) {
	for _, name := range p.Members[p.name] {
		next, fit := p.judge(p.Units[name], p.Settings[name], preferred)
		if !fit || preferred != "" && name != preferred {
			continue // what was current before the boot is still on its way
		}
		if !ready || newer(&next, &best) {
			best, ready = next, true
		}
	}
	return best, ready
}

// judge reports whether u is fit to have the traffic, and as what activation.
func (p *planner) judge(u Unit, in *config.Instance, preferred string) (Activation, bool) {
	var none Activation
	if !u.running() || u.Invocation == "" || p.taken(u) {
		return none, false
	}
	r, refused := p.svc.Refused[u.Invocation]
	if refused && same(in, &r.Asked) && !p.again(r) || p.elsewhere(u.Invocation) {
		return none, false
	}
	refuse := func(reason string, passing bool) (Activation, bool) {
		p.do(refuse{Service: p.name, Unit: u.Name, ID: u.Invocation, Asked: *in, Reason: reason, Passing: passing})
		return none, false
	}
	cur := p.svc.serving()
	if p.alive && u.Restarts > 0 && u.Name != cur.Unit {
		return refuse("systemd restarted it by itself, which is not a deploy: start it again to switch to it", false)
	}
	if why := p.unreachable(in); why != "" {
		return refuse(why, false)
	}
	prep, done := p.Prepared[u.Invocation]
	if !done || !same(in, &prep.Asked) || refused && prep.At <= r.At {
		p.start(task{prepareTask, u.Invocation}, prepare{Unit: u, Instance: *in, Reserved: p.given(u),
			Boot: p.svc.ByBoot || preferred != ""})
		return none, false
	}
	if prep.Err != nil {
		return refuse(prep.Err.Error(), errors.As(prep.Err, new(claimed)))
	}
	next := Activation{Unit: u.Name, ID: u.Invocation, ReadyAt: u.ReadyAt, Targets: prep.Targets, Lasting: prep.Lasting, Instance: *in}
	if why := p.older(&next); why != "" {
		p.do(supersede{Service: p.name, Activation: next, Why: why})
		return none, false
	}
	for _, t := range next.Targets {
		if t.Serves()&p.Families == 0 {
			return refuse(fmt.Sprintf("it serves port %s by %s only, which this host has no address or no iptables for", t.Endpoint, t.Serves()), true)
		}
	}
	if p.alive {
		if lost := loses(cur.Targets, next.Targets, in, p.Families); lost != "" {
			return refuse("it does not serve "+lost+", which "+cur.Unit+" serves: let it listen on the same addresses and families", false)
		}
	}
	if port, other := p.shares(&next); other != nil {
		return refuse(fmt.Sprintf("it shares private port %d with %s: give each instance a port of its own", port, other.Unit), other != cur)
	}
	return next, true
}

// given returns the ports that the activation of u was given, by endpoint name.
// One that has not asked has none, whatever those before it have.
func (p *planner) given(u Unit) map[string]uint16 {
	if r := p.State.Reserved[u.Name]; r != nil && r.For == u.Invocation {
		return maps.Clone(r.Ports)
	}
	return nil
}

// taken reports whether u is current or old already, or is to be stopped
// because an old activation of it was, or is just being stopped: until that
// call is over it may hit the next one.
func (p *planner) taken(u Unit) bool {
	if cur := p.svc.serving(); cur != nil && cur.ID == u.Invocation {
		return true
	}
	return slices.ContainsFunc(p.svc.Old, func(o *Retired) bool {
		return o.ID == u.Invocation || o.Unit == u.Name && (p.Running[task{stopTask, o.ID}] || p.revived(o, u))
	})
}

// elsewhere reports whether id has had the traffic of another service, which
// its unit belonged to before, and is not yet rid of it.
func (p *planner) elsewhere(id string) bool {
	for name, svc := range p.State.Services {
		if name == p.name {
			continue
		}
		if cur := svc.serving(); cur != nil && cur.ID == id || svc.old(id) != nil {
			return true
		}
	}
	return false
}

// again reports whether it is time to try once more what was refused. It never
// is while something else serves, unless the reason is one that passes.
func (p *planner) again(r Refusal) bool {
	if !r.Passing && p.svc.serving() != nil {
		return false
	}
	pause := maxAgain
	if r.Tries < 4 { // 5, 10, 20, 40 s
		pause = minAgain << max(0, r.Tries-1)
	}
	if at := r.At + pause; r.At <= p.Now && p.Now < at {
		p.do(wake{At: at})
		return false
	}
	return true
}

// older says why next may not take the traffic from the current one although
// nothing is wrong with it, or "".
func (p *planner) older(next *Activation) string {
	cur := p.svc.serving()
	switch {
	case !p.alive || next.Unit == cur.Unit:
		return ""
	case newer(cur, next):
		return cur.Unit + " was ready later"
	case p.svc.ByBoot && p.Prepared[next.ID].AtBoot:
		return cur.Unit + " was current before the boot"
	}
	return ""
}

// shares returns the activation of another unit, of whatever service, that
// listens on a private port of next, and the port. Connections to the two
// could not be told apart, so neither could ever be drained.
func (p *planner) shares(next *Activation) (uint16, *Activation) {
	ports := next.ports()
	check := func(a *Activation) uint16 {
		if u := p.Units[a.Unit]; a.Unit == next.Unit || u.Invocation != a.ID || u.ended() {
			return 0
		}
		for _, t := range a.Targets {
			if slices.Contains(ports, t.Port) {
				return t.Port
			}
		}
		return 0
	}
	for _, name := range sortedKeys(p.State.Services) {
		svc := p.State.Services[name]
		if cur := svc.serving(); cur != nil {
			if port := check(cur); port != 0 {
				return port, cur
			}
		}
		for _, o := range svc.Old {
			if port := check(&o.Activation); port != 0 {
				return port, &o.Activation
			}
		}
	}
	return 0, nil
}

// preferred returns the unit that was current before this boot while it may
// still come up; others wait for it. It is "" if there is none. One that has
// crashed once is not waited for.
func (p *planner) preferred() string {
	name := p.LastCurrent[p.name]
	in := p.Settings[name]
	if p.svc.Current != nil || in == nil || in.Service != p.name {
		return ""
	}
	u := p.Units[name]
	if u.Restarts > 0 || u.autoRestart() {
		return ""
	}
	if _, refused := p.svc.Refused[u.Invocation]; refused && u.running() {
		return ""
	}
	if u.running() || u.starting() {
		return name
	}
	return ""
}
