package controller

import "time"

// stopAgain is the pause between two calls of StopUnit for one activation: one
// that was accepted takes a moment to show.
const stopAgain = 5 * time.Second

// oldOnes sees every older activation one step further out.
func (p *planner) oldOnes() {
	for _, o := range p.svc.Old {
		u := p.Units[o.Unit]
		switch {
		case p.moving && o.ID == p.target: // it is to have the traffic back
		case p.revived(o, u):
			// It must neither have the traffic nor linger.
			p.stop(o, u)
		case o.Ended || u.Invocation != o.ID || u.ended():
			p.ended(o, u)
		default:
			p.seeOut(o, u)
		}
	}
}

// revived reports whether o crashed and systemd brings, or has brought, its
// unit back by itself, which a start by hand does not look like: it sets
// NRestarts to 0. With nothing else to serve, it is welcome.
func (p *planner) revived(o *Retired, u Unit) bool {
	if !p.alive || o.Unit == p.svc.Current.Unit {
		return false
	}
	return u.autoRestart() || u.Restarts > 0 && u.Invocation != o.ID && !u.ended()
}

// ended keeps an old one that is no more until its enablement has been moved,
// and until systemd cannot bring it back: a crashed unit shows as failed for a
// moment before it is restarted.
func (p *planner) ended(o *Retired, u Unit) {
	cur := p.svc.serving()
	_, stopped := p.Stopped[o.ID]
	byHand := u.Invocation != o.ID && !u.ended() && u.Restarts == 0
	switch {
	case p.Running[task{stopTask, o.ID}]: // will find out for itself, and end
	case o.Stopping && !o.Ended && u.Invocation == o.ID && u.Active == "failed":
		// Left failed, every deploy would leave the host degraded.
		p.start(task{resetTask, o.ID}, reset{Service: p.name, Old: *o, Unit: u})
	case !o.Ended:
		p.do(end{Service: p.name, ID: o.ID, Unit: u})
	case p.svc.Current == nil || cur != nil && cur.Unit == o.Unit:
		p.do(forget{Service: p.name, ID: o.ID})
	case !o.Promoted && (cur == nil || p.moving): // the next one takes over
	case !o.Promoted && o.standby(p.Now):
		p.do(wake{At: o.StandbyUntil})
	case !o.Promoted:
		p.promote(o)
	case stopped || byHand || u.Name == "":
		p.do(forget{Service: p.name, ID: o.ID})
	}
}

// seeOut takes an old one that runs one step further.
func (p *planner) seeOut(o *Retired, u Unit) {
	switch {
	case o.Stopping:
		p.stop(o, u)
	case u.ending() && !o.Due: // by somebody else's hand
	case o.QuiescedAt == 0:
		p.start(task{quiesceTask, o.ID}, quiesce{Service: p.name, Old: *o})
	case o.standby(p.Now) && !o.Due:
		p.do(wake{At: o.StandbyUntil})
	case !o.Rejected && p.watched() && !o.Due: // until the current one is found well, or not
	case !o.Promoted && (p.svc.serving() != nil || o.Promoting && p.svc.Current != nil):
		p.promote(o)
	case !o.Drained:
		p.start(task{drainTask, o.ID}, drain{Service: p.name, Old: *o})
	default:
		p.do(dismiss{Service: p.name, ID: o.ID})
	}
}

// watched reports whether the current one is being probed.
func (p *planner) watched() bool {
	cur := p.svc.serving()
	return cur != nil && p.Running[task{watchTask, cur.ID}]
}

// promote plans the move of o's enablement, one of a service at a time: where
// the next move begins is where the one before it ended.
func (p *planner) promote(o *Retired) {
	if p.moving || p.Running[task{promoteTask, p.svc.Current.ID}] {
		return
	}
	for _, other := range p.svc.Old {
		if p.Running[task{promoteTask, other.ID}] {
			return
		}
	}
	p.do(promote{Service: p.name, Old: *o, To: p.svc.Current.Unit})
}

// stop plans to stop the activation of o's unit that u shows.
func (p *planner) stop(o *Retired, u Unit) {
	if u.ending() {
		return
	}
	if at, ok := p.Stopped[o.ID]; ok && p.Now < at+stopAgain {
		p.do(wake{At: at + stopAgain})
		return
	}
	p.start(task{stopTask, o.ID}, stop{Service: p.name, Old: *o, Invocation: u.Invocation})
}
