package controller

import "time"

// move makes the State what it is after a.
func (s *State) move(a move, now time.Duration) {
	switch a := a.(type) {
	case withdraw:
		svc := s.service(a.Service)
		svc.Down = true
		svc.Refused = nil // with nothing to serve, they get another try
		if a.Release {
			svc.Current, svc.Down, svc.Pause = nil, false, nil
		}
	case point:
		s.service(a.Service).point(a, now)
	}
}

// point gives a.To the traffic, and makes the one that has it an old one.
func (svc *Service) point(a point, now time.Duration) {
	to := a.To
	cur := svc.Current
	if cur != nil && cur.ID == to.ID {
		to.Since = cur.Since
		if svc.Down {
			to.Since = now
		}
		svc.Current, svc.Down = &to, false
		delete(svc.Refused, to.ID)
		return
	}
	to.Since = now
	if cur == nil {
		svc.ByBoot = a.ByBoot
	} else if !a.Back {
		svc.ByBoot = false
	}
	target := svc.old(to.ID)
	svc.drop(to.ID)
	switch {
	case a.Back: // or one would go back and forth
		svc.Before = ""
	case cur != nil && cur.Unit != to.Unit:
		svc.Before = cur.Unit
	}
	if cur != nil && cur.Unit != to.Unit {
		o := &Retired{Activation: *cur, Ended: svc.Down}
		o.Since = now
		if a.Back && !svc.Down {
			o.Rejected, o.Why = true, a.Why
			// If enablement was just on its way here, it has to go back.
			o.Promoting = target != nil && target.Promoting && !target.Promoted
		} else {
			o.StandbyUntil = now + to.Instance.Standby
		}
		o.Due = a.Due
		svc.retire(o)
	}
	svc.Current, svc.Down = &to, false
	delete(svc.Refused, to.ID)
}
