package control

import (
	"context"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// startTimeout bounds the call that queues a start job.
const startTimeout = 10 * time.Second

// goal is an error if g is none of the goals that a call has.
func goal(field string, g api.Goal, known ...api.Goal) (api.Goal, *api.Error) {
	if g == "" {
		return known[0], nil
	}
	for _, k := range known {
		if g == k {
			return g, nil
		}
	}
	return "", api.Errorf(api.BadRequest, "field %q: %q is not possible here", field, printable(string(g)))
}

func (s *Server) deploy(c *call) (any, *api.Error) {
	var what api.Deploy
	if err := c.read(&what); err != nil {
		return nil, err
	}
	name, err := unit("unit", what.Unit)
	if err != nil {
		return nil, err
	}
	wait, err := goal("wait", what.Wait, api.ForSwitched, api.ForDrained, api.ForNothing)
	if err != nil {
		return nil, err
	}
	f := s.follow(c, name, wait, what.Timeout)
	v, err := s.latest(c, func(*controller.View) string { return name })
	if err != nil {
		return nil, err
	}
	in := v.Instance(name)
	switch {
	case in == nil:
		if err := s.known(c, name); err != nil {
			return nil, err
		}
	case in.Serves():
		f.out.Already = true
		return f.wait()
	case in.Role == controller.RoleStandby || in.Role == controller.RoleDraining:
		// It runs: starting it would do nothing.
		ctx, cancel := context.WithTimeout(c.Context(), quickTimeout)
		defer cancel()
		_, warm, err := s.World.Rollback(ctx, in.Service, name)
		if err != nil {
			return nil, s.wrong(err, "deploy "+name)
		}
		if f.out.Warm = warm; warm {
			f.ordered = true
			return f.wait()
		}
	}
	return f.start()
}

// known is an error unless unit, which is not loaded, has our section: nobody
// gets to start anything else by this way.
func (s *Server) known(c *call, unit string) *api.Error {
	ctx, cancel := context.WithTimeout(c.Context(), startTimeout)
	defer cancel()
	carries, err := s.Units.Carries(ctx, unit)
	switch {
	case err != nil:
		return s.wrong(err, "look for "+unit)
	case !carries:
		return api.Errorf(api.NoInstance, "there is no unit %s with an [X-Switcheroo] section", unit)
	}
	return nil
}

func (s *Server) quickView(c *call) (*controller.View, *api.Error) {
	ctx, cancel := context.WithTimeout(c.Context(), quickTimeout)
	defer cancel()
	v, err := s.view(ctx)
	if err == nil && !v.Ready {
		return nil, s.wrong(controller.ErrStarting, "")
	}
	return v, err
}

// latest is quickView with a unit that is known read anew: what somebody has just
// done to it need not have been told yet.
func (s *Server) latest(c *call, unit func(*controller.View) string) (*controller.View, *api.Error) {
	v, err := s.quickView(c)
	if err != nil || v.Instance(unit(v)) == nil {
		return v, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), quickTimeout)
	defer cancel()
	if err := s.World.Expect(ctx, unit(v), false); err != nil {
		return nil, s.wrong(err, "look at "+unit(v))
	}
	return s.view(ctx)
}

func (s *Server) rollback(c *call) (any, *api.Error) {
	var what api.Rollback
	if err := c.read(&what); err != nil {
		return nil, err
	}
	if what.Service == "" {
		return nil, api.Errorf(api.BadRequest, `field "service" is missing`)
	}
	wait, err := goal("wait", what.Wait, api.ForSwitched, api.ForDrained, api.ForNothing)
	if err != nil {
		return nil, err
	}
	name := ""
	if what.Unit != "" {
		if name, err = unit("unit", what.Unit); err != nil {
			return nil, err
		}
	}
	f := s.follow(c, name, wait, what.Timeout)
	v, err := s.latest(c, func(v *controller.View) string {
		if svc := v.Service(what.Service); svc != nil && name == "" {
			return svc.Rollback
		}
		return name
	})
	if err != nil {
		return nil, err
	}
	svc := v.Service(what.Service)
	if svc == nil {
		return nil, noService(v, what.Service)
	}
	if name != "" {
		if in := v.Instance(name); in == nil {
			if err := s.known(c, name); err != nil {
				return nil, err
			}
		} else if in.Service != svc.Name {
			return nil, api.Errorf(api.Conflict, "%s is an instance of %s, not of %s", name, in.Service, svc.Name)
		}
	}
	ctx, cancel := context.WithTimeout(c.Context(), quickTimeout)
	defer cancel()
	to, warm, e := s.World.Rollback(ctx, svc.Name, name)
	if e != nil {
		return nil, s.wrong(e, "roll back "+svc.Name)
	}
	f.unit, f.out.Warm, f.ordered = to, warm, warm
	if warm {
		return f.wait()
	}
	return f.start()
}

// own reads a body that names a unit, which the caller must be or may act for,
// and returns the unit's full name.
func (s *Server) own(c *call, what any, named *string) (string, *api.Error) {
	if err := c.read(what); err != nil {
		return "", err
	}
	name, err := unit("unit", *named)
	if err != nil {
		return "", err
	}
	return name, s.allow(c, name)
}

func (s *Server) drain(c *call) (any, *api.Error) {
	var what api.Drain
	name, err := s.own(c, &what, &what.Unit)
	if err != nil {
		return nil, err
	}
	wait, err := goal("wait", what.Wait, api.ForDrained, api.ForNothing)
	if err != nil {
		return nil, err
	}
	f := s.follow(c, name, wait, what.Timeout)
	f.leaving = true
	ctx, cancel := context.WithTimeout(c.Context(), quickTimeout)
	defer cancel()
	due, e := s.World.SeeOut(ctx, name)
	if e != nil {
		return nil, s.wrong(e, "drain "+name)
	}
	f.out.Already, f.ordered = !due, due
	return f.wait()
}

func (s *Server) wait(c *call) (any, *api.Error) {
	var what api.Wait
	name, err := s.own(c, &what, &what.Unit)
	if err != nil {
		return nil, err
	}
	wait, err := goal("for", what.For, api.ForSwitched, api.ForDrained)
	if err != nil {
		return nil, err
	}
	f := s.follow(c, name, wait, what.Timeout)
	ctx, cancel := context.WithTimeout(c.Context(), quickTimeout)
	defer cancel()
	mine, e := c.peer.Unit()
	if e := s.World.Expect(ctx, name, e == nil && mine == name); e != nil {
		return nil, s.wrong(e, "look at "+name)
	}
	return f.wait()
}
