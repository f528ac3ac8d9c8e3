package control

import (
	"context"
	"errors"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// releaseTime is more than it takes to let go what waits.
const releaseTime = time.Minute

// withPause adds to a service what waits.
func (s *Server) withPause(v *controller.View, svc *controller.ServiceView, out api.Service) api.Service {
	if p := svc.Pause; p != nil {
		out.Pause = &api.Pause{Until: *wall(v, p.Until), Waiting: s.Gate.Waiting()[svc.Name].Now, Ending: p.Ending}
	}
	return out
}

func (s *Server) pause(c *call) (any, *api.Error) {
	var what api.PauseRequest
	if err := c.read(&what); err != nil {
		return nil, err
	}
	most := what.Max
	switch {
	case most == 0:
		most = api.DefaultPause
	case most > api.MaxPause:
		return nil, api.Errorf(api.BadRequest, `field "max": a pause lasts %s at most, not %s`, api.MaxPause, most).
			WithHint("pause again before it ends")
	}
	svc, err := s.named(c, what.Service)
	if err != nil {
		return nil, err
	}
	if e := s.World.Pause(c.Context(), svc.Name, time.Duration(most)); e != nil {
		return nil, s.wrong(e, "pause "+svc.Name)
	}
	v, err := s.view(c.Context())
	if err != nil {
		return nil, err
	}
	out := api.Paused{Service: svc.Name, Extended: svc.Pause != nil}
	if now := v.Service(svc.Name); now != nil && now.Pause != nil {
		out.Pause = *s.withPause(v, now, api.Service{}).Pause
	}
	return out, nil
}

// named returns the service of that name.
func (s *Server) named(c *call, name string) (*controller.ServiceView, *api.Error) {
	if name == "" {
		return nil, api.Errorf(api.BadRequest, `field "service" is missing`)
	}
	v, err := s.quickView(c)
	if err != nil {
		return nil, err
	}
	svc := v.Service(name)
	if svc == nil {
		return nil, noService(v, name)
	}
	return svc, nil
}

// resume returns once all that waited have gone on.
func (s *Server) resume(c *call) (any, *api.Error) {
	var what api.Resume
	if err := c.read(&what); err != nil {
		return nil, err
	}
	svc, err := s.named(c, what.Service)
	if err != nil {
		return nil, err
	}
	began, since := time.Now(), s.Feed.Last()
	ctx, cancel := context.WithTimeout(c.Context(), controller.MaxPause+releaseTime)
	defer cancel()
	if e := s.World.Resume(ctx, svc.Name); e != nil {
		if errors.Is(e, controller.ErrNotPaused) {
			return nil, api.Errorf(api.NotPaused, "%s is not paused", svc.Name)
		}
		return nil, s.wrong(e, "resume "+svc.Name)
	}
	for {
		v, e := s.World.View(ctx)
		if e != nil {
			return nil, s.wrong(e, "wait for "+svc.Name)
		}
		if now := v.Service(svc.Name); now == nil || now.Pause == nil {
			return s.resumed(svc.Name, since, began), nil
		}
		select {
		case <-v.Stale():
		case <-ctx.Done():
			return nil, s.wrong(ctx.Err(), "wait for "+svc.Name)
		}
	}
}

// resumed says how the pause of a service ended after the event since.
func (s *Server) resumed(service string, since uint64, began time.Time) api.Resumed {
	out := api.Resumed{Service: service, Took: api.Duration(time.Since(began))}
	for _, n := range s.Feed.All() {
		if n.ID > since && n.Kind == controller.Resumed && n.Service == service {
			out.Waited, out.Longest, out.Left = n.Waited.Connections, api.Duration(n.Waited.Longest), n.Waited.Left
		}
	}
	return out
}
