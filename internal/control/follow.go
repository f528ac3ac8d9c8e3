package control

import (
	"cmp"
	"context"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// follower waits for what becomes of one unit.
type follower struct {
	*Server
	call *call
	unit string
	goal api.Goal
	// leaving: it is to be seen out, not to get the traffic.
	leaving bool
	// ordered: the controller has been told to move the traffic.
	ordered bool
	// before is the activation from before the unit was started, whose end
	// is no news.
	before string
	limit  time.Duration
	began  time.Time
	had    bool // it has had the traffic
	// unmoved: what was asked for takes a change of rules that is not made.
	unmoved bool
	// doubtful is since when it does not run, as far as is known.
	doubtful time.Time
	out      api.Outcome
}

func (s *Server) follow(c *call, unit string, goal api.Goal, timeout api.Duration) *follower {
	return &follower{Server: s, call: c, unit: unit, goal: goal, limit: deadline(timeout), began: time.Now(), unmoved: true,
		out: api.Outcome{Event: s.Feed.Last()}}
}

// start has systemd start the unit, and waits.
func (f *follower) start() (any, *api.Error) {
	in, err := f.gone()
	if err != nil {
		return nil, err
	}
	if in != nil && (in.Role == controller.RoleNone || in.Activation == in.Status.Invocation) {
		f.before = in.Status.Invocation
	}
	ctx, cancel := context.WithTimeout(f.call.Context(), startTimeout)
	defer cancel()
	if err := f.Units.Start(ctx, f.unit); err != nil {
		return nil, api.Errorf(api.StartFailed, "%s", printable(err.Error())).WithHint("see \"systemctl status %s\"", f.unit)
	}
	// What is known of it from now on is from after the start.
	if err := f.World.Expect(ctx, f.unit, false); err != nil {
		return nil, f.wrong(err, "look at "+f.unit)
	}
	return f.wait()
}

// gone waits until nothing is left of an earlier start of the unit that is being
// seen out, and returns how it is then: a start has no effect before, and a stop
// that is on its way would hit it.
func (f *follower) gone() (*controller.InstanceView, *api.Error) {
	limit := f.limit
	if f.goal == api.ForNothing {
		limit = min(limit, quickTimeout/2)
	}
	ctx, cancel := context.WithTimeout(f.call.Context(), limit-time.Since(f.began))
	defer cancel()
	for {
		v, err := f.World.View(ctx)
		if err != nil {
			return nil, f.over(err)
		}
		in := v.Instance(f.unit)
		if in == nil || in.Role == controller.RoleNone || !retired(in) {
			return in, nil
		}
		select {
		case <-v.Stale():
		case <-ctx.Done():
			if f.goal == api.ForNothing && f.call.Context().Err() == nil {
				return nil, f.failed(api.Conflict, "it is being seen out, and cannot be started before it has ended").
					WithHint("end it at once with \"systemctl stop %s\"", f.unit)
			}
			return nil, f.over(ctx.Err())
		}
	}
}

// wait returns once the goal is reached, or cannot be.
func (f *follower) wait() (any, *api.Error) {
	ctx, cancel := context.WithTimeout(f.call.Context(), f.limit-time.Since(f.began))
	defer cancel()
	for {
		v, err := f.World.View(ctx)
		if err != nil {
			return nil, f.over(err)
		}
		in := v.Instance(f.unit)
		done, failure := f.judge(v, in)
		f.unmoved = !f.had && (!f.leaving || in != nil && in.Role == controller.RoleCurrent)
		switch {
		case failure == nil:
			f.doubtful = time.Time{}
		case f.doubt(in):
			// News of its end before this start may still be on their way.
			if err := f.look(ctx); err != nil {
				return nil, f.over(err)
			}
			continue
		default:
			return nil, failure
		}
		if done || f.goal == api.ForNothing {
			return f.outcome(v, in), nil
		}
		select {
		case <-v.Stale():
		case <-ctx.Done():
			return nil, f.over(ctx.Err())
		}
	}
}

const (
	// sure is for how long a unit must be seen not to run.
	sure = 500 * time.Millisecond
	// lookAgain is the pause between two looks at it.
	lookAgain = 50 * time.Millisecond
)

// doubt reports whether it is too early to believe that in does not run.
func (f *follower) doubt(in *controller.InstanceView) bool {
	if f.had || in != nil && (in.Role != controller.RoleNone || in.Status.Active == "failed" && in.Status.Invocation != f.before) {
		return false
	}
	if f.doubtful.IsZero() {
		f.doubtful = time.Now()
	}
	return time.Since(f.doubtful) < sure
}

// look has the unit read anew, after a pause.
func (f *follower) look(ctx context.Context) error {
	pause := time.NewTimer(lookAgain)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	return f.World.Expect(ctx, f.unit, false)
}

// over says why there is nothing to wait for any more.
func (f *follower) over(err error) *api.Error {
	if f.call.Context().Err() == nil && time.Since(f.began) >= f.limit {
		if why := f.World.Blocked(); why != "" && f.unmoved {
			return locked(f.unit, why)
		}
		e := api.Errorf(api.Timeout, "%s: not %s within %s", f.unit, f.goal, f.limit)
		return e.WithHint("it goes on all the same: ask again")
	}
	return f.wrong(err, "wait for "+f.unit)
}

func (f *follower) outcome(v *controller.View, in *controller.InstanceView) api.Outcome {
	out := f.out
	out.Unit, out.Took = f.unit, api.Duration(time.Since(f.began))
	if in != nil {
		i := instanceOf(v, in, nil)
		out.Service, out.Instance = in.Service, &i
	}
	for _, n := range f.Feed.All() {
		if n.Kind == controller.DrainExpired && n.Unit == f.unit && n.ID > f.out.Event {
			out.Left = n.Left.Connections
		}
	}
	return out
}

// judge reports whether the goal is reached, or why it will not be.
func (f *follower) judge(v *controller.View, in *controller.InstanceView) (bool, *api.Error) {
	if f.leaving || f.goal == api.ForDrained && !f.had && f.call.route.verb() == "wait" && retired(in) {
		return f.left(in)
	}
	if in == nil || in.Role == controller.RoleNone {
		if why := f.lost(in); why != "" {
			return false, f.failed(api.RolledBack, why)
		}
	}
	if in == nil {
		return false, f.failed(api.StartFailed, "it does not run")
	}
	if in.Status.Invocation == f.before && f.before != "" {
		ended := in.Role == controller.RoleNone && in.Status.Job == ""
		if ended {
			return false, f.failed(api.StartFailed, "systemd did not start it")
		}
		return false, nil // its end is awaited first
	}
	switch in.Role {
	case controller.RoleCurrent:
		if !in.Serves() { // it has ended, or was started anew: the rules are about to follow
			return false, nil
		}
		f.had = true
		return f.goal != api.ForDrained || alone(v.Service(in.Service)), nil
	case controller.RoleStarting:
		return false, nil
	case controller.RoleRefused:
		return false, f.failed(api.ProbeFailed, in.Reason)
	case controller.RoleRejected:
		return false, f.failed(api.RolledBack, in.Reason)
	case controller.RoleNone:
		return false, f.failed(api.StartFailed, "it ended before it was ready: "+cmp.Or(in.Status.Result, "success"))
	}
	if f.ordered && !f.had { // the order is on its way
		return false, f.late()
	}
	svc := v.Service(in.Service)
	return false, f.failed(api.Overtaken, "another instance has the traffic: "+cmp.Or(svc.Current, "none"))
}

// lost says why the unit has lost the traffic that it had, "" if it had none.
func (f *follower) lost(in *controller.InstanceView) string {
	if in != nil && in.Reason != "" && in.Status.Invocation != f.before {
		return in.Reason
	}
	for _, n := range f.Feed.All() {
		if n.ID > f.out.Event && n.Kind == controller.SwitchedBack && n.From == f.unit {
			return n.Reason
		}
	}
	if f.had {
		return "it ended"
	}
	return ""
}

// orderTime is how long an order may take; the controller gives it up then.
const orderTime = 31 * time.Second

// late is an error if an order was not carried out in time.
func (f *follower) late() *api.Error {
	if time.Since(f.began) < orderTime {
		return nil
	}
	if why := f.World.Blocked(); why != "" {
		return locked(f.unit, why)
	}
	return f.failed(api.Conflict, "the traffic could not be moved")
}

// left judges one that is to be seen out.
func (f *follower) left(in *controller.InstanceView) (bool, *api.Error) {
	if empty(in) || in.Role == controller.RoleCurrent && !f.ordered && !in.Serves() {
		return true, nil
	}
	if in.Role == controller.RoleCurrent {
		if !f.ordered {
			return false, f.failed(api.Conflict, "it is current")
		}
		return false, f.late()
	}
	return false, nil
}

// empty reports whether nothing of a unit's connections is to be waited for.
func empty(in *controller.InstanceView) bool {
	if in == nil || in.Drained {
		return true
	}
	switch in.Role {
	case controller.RoleCurrent, controller.RoleStandby, controller.RoleDraining, controller.RoleRejected:
		return false
	}
	return true
}

// retired reports whether a unit is on its way out, or does not run.
func retired(in *controller.InstanceView) bool {
	if in == nil {
		return true
	}
	switch in.Role {
	case controller.RoleNone, controller.RoleStandby, controller.RoleDraining, controller.RoleStopping, controller.RoleRejected:
		return true
	}
	return false
}

// alone reports whether nothing but the current instance is left of a service
// that has had the traffic.
func alone(svc *controller.ServiceView) bool {
	for i := range svc.Instances {
		switch svc.Instances[i].Role {
		case controller.RoleStandby, controller.RoleDraining, controller.RoleStopping, controller.RoleRejected:
			return false
		}
	}
	return true
}

func (f *follower) failed(code api.Code, why string) *api.Error {
	e := api.Errorf(code, "%s: %s", f.unit, why)
	if code == api.StartFailed || code == api.RolledBack {
		e = e.WithHint("see \"journalctl -u %s\"", f.unit)
	}
	return e
}
