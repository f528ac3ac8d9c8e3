package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

func (s *Server) view(ctx context.Context) (*controller.View, *api.Error) {
	v, err := s.World.View(ctx)
	if err != nil {
		return nil, s.wrong(err, "look at the services")
	}
	return v, nil
}

func (s *Server) health(c *call) (any, *api.Error) {
	if err := c.only(); err != nil {
		return nil, err
	}
	v, err := s.view(c.Context())
	if err != nil {
		return nil, err
	}
	h := api.Health{Status: "ok", Problems: v.Problems, Version: s.Version, Backend: s.Backend,
		Uptime: api.Duration(time.Since(s.began).Truncate(time.Millisecond)), Services: len(v.Services), Event: s.Feed.Last()}
	switch {
	case !v.Ready:
		h.Status = "starting"
	case len(v.Problems) > 0:
		h.Status = "degraded"
	}
	return h, nil
}

func (s *Server) services(c *call) (any, *api.Error) {
	v, counts, err := s.selected(c)
	if err != nil {
		return nil, err
	}
	all := []api.Service{}
	for i := range v.Services {
		all = append(all, s.withPause(v, &v.Services[i], serviceOf(v, &v.Services[i], counts)))
	}
	return all, nil
}

func (s *Server) service(c *call) (any, *api.Error) {
	v, counts, err := s.selected(c)
	if err != nil {
		return nil, err
	}
	svc := v.Service(c.PathValue("name"))
	if svc == nil {
		return nil, noService(v, c.PathValue("name"))
	}
	return s.withPause(v, svc, serviceOf(v, svc, counts)), nil
}

func (s *Server) instances(c *call) (any, *api.Error) {
	v, counts, err := s.selected(c)
	if err != nil {
		return nil, err
	}
	all := []api.Instance{}
	for i := range v.Services {
		all = append(all, serviceOf(v, &v.Services[i], counts).Instances...)
	}
	return all, nil
}

// selected returns the view, and connections if those are asked for.
func (s *Server) selected(c *call) (*controller.View, map[uint16]Count, *api.Error) {
	if err := c.only("connections"); err != nil {
		return nil, nil, err
	}
	with, err := c.flag("connections")
	if err != nil {
		return nil, nil, err
	}
	v, err := s.view(c.Context())
	if err != nil || !with {
		return v, nil, err
	}
	counts, e := s.Sockets.Count(c.Context(), portsOf(v))
	if e != nil {
		return nil, nil, s.wrong(e, "count connections")
	}
	if counts == nil {
		counts = map[uint16]Count{}
	}
	return v, counts, nil
}

// portsOf returns all private ports.
func portsOf(v *controller.View) (ports []uint16) {
	for i := range v.Services {
		for j := range v.Services[i].Instances {
			ports = append(ports, v.Services[i].Instances[j].Ports...)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// switchKinds are the events that change what has the traffic.
var switchKinds = []controller.Kind{controller.Switched, controller.SwitchedBack, controller.Withdrawn}

func (s *Server) switches(c *call) (any, *api.Error) {
	if err := c.only("service"); err != nil {
		return nil, err
	}
	service := c.URL.Query().Get("service")
	all := []api.Switch{}
	for _, n := range s.Feed.All() {
		if slices.Contains(switchKinds, n.Kind) && (service == "" || n.Service == service) {
			all = append(all, eventOf(n))
		}
	}
	return all, nil
}

func (s *Server) connections(c *call) (any, *api.Error) {
	if err := c.only(); err != nil {
		return nil, err
	}
	v, err := s.view(c.Context())
	if err != nil {
		return nil, err
	}
	name := c.PathValue("name")
	of := map[uint16]*controller.InstanceView{}
	var ports []uint16
	add := func(in *controller.InstanceView) {
		for _, p := range in.Ports {
			if of[p] == nil {
				of[p] = in
				ports = append(ports, p)
			}
		}
	}
	if svc := v.Service(name); svc != nil {
		for i := range svc.Instances {
			add(&svc.Instances[i])
		}
	} else if in := v.Instance(withSuffix(name)); in != nil {
		add(in)
	} else {
		return nil, noService(v, name)
	}
	found, e := s.Sockets.Connections(c.Context(), ports)
	if e != nil {
		return nil, s.wrong(e, "read connections")
	}
	all := []api.Connection{}
	for _, f := range found {
		in := of[f.Port]
		if in == nil {
			continue
		}
		conn := api.Connection{Unit: in.Unit, Peer: f.Peer, Port: f.Port, State: f.State, Accepted: f.Accepted,
			Unread: f.Unread, Unsent: f.Unsent, Received: f.Received, Sent: f.Sent}
		if f.Idle >= 0 {
			idle := api.Duration(f.Idle)
			conn.Idle = &idle
		}
		if in.Role != controller.RoleCurrent && in.Since != 0 {
			age := api.Duration((v.At - in.Since).Truncate(time.Millisecond))
			conn.AgeAtLeast = &age
		}
		all = append(all, conn)
	}
	slices.SortFunc(all, func(a, b api.Connection) int {
		if n := strings.Compare(a.Unit, b.Unit); n != 0 {
			return n
		}
		return a.Peer.Compare(b.Peer)
	})
	return all, nil
}

func withSuffix(name string) string {
	if strings.HasSuffix(name, ".service") {
		return name
	}
	return name + ".service"
}

// noService says that there is no such service, and which there are.
func noService(v *controller.View, name string) *api.Error {
	err := api.Errorf(api.NoService, "no service or instance %q", printable(name))
	var names []string
	for _, svc := range v.Services {
		if names = append(names, svc.Name); len(names) == 5 {
			break
		}
	}
	if len(names) == 0 {
		return err.WithHint("no loaded unit has an [X-Switcheroo] section")
	}
	return err.WithHint("there is %s", strings.Join(names, ", "))
}

func (s *Server) check(c *call) (any, *api.Error) {
	if err := c.only(); err != nil {
		return nil, err
	}
	var what api.Check
	if c.ContentLength != 0 {
		if err := c.read(&what); err != nil {
			return nil, err
		}
	}
	name := what.Unit
	switch {
	case len(what.Files) == 0 && name != "":
		return nil, api.Errorf(api.BadRequest, `field "files" is missing`).WithHint("leave out the unit, too, to check all units")
	case len(what.Files) > 0:
		if name == "" {
			name = what.Files[0].Name[strings.LastIndexByte(what.Files[0].Name, '/')+1:]
		}
		if !strings.HasSuffix(name, ".service") || len(name) > maxUnitName || !unitName.MatchString(name) {
			return nil, api.Errorf(api.BadRequest, `field "unit": %q is not the name of a service unit`, printable(name)).
				WithHint(`name the unit or template that the files are of: "myapp@.service"`)
		}
	}
	found, err := s.Units.Check(c.Context(), name, what.Files)
	if err != nil {
		return nil, s.wrong(err, "check unit files")
	}
	return found, nil
}
