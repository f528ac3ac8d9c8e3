package control

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// about returns the unit that a call is about, which is the caller's own if it
// names none, and an error unless the caller may make it.
func (s *Server) about(c *call, name string) (string, *api.Error) {
	if name == "" {
		mine, err := c.peer.Unit()
		if err != nil || !strings.HasSuffix(mine, ".service") {
			return "", api.Errorf(api.BadRequest, "the caller is in no service unit").WithHint(`name one in field "unit"`)
		}
		name = mine
	}
	name, e := unit("unit", name)
	if e == nil {
		e = s.allow(c, name)
	}
	return name, e
}

func (s *Server) reserve(c *call) (any, *api.Error) {
	var what api.Reserve
	if err := c.read(&what); err != nil {
		return nil, err
	}
	name, err := s.about(c, what.Unit)
	if err != nil {
		return nil, err
	}
	r, e := s.reserved(c.Context(), name, what.Taken)
	if e != nil {
		return nil, s.wrong(e, "reserve ports for "+name)
	}
	out := api.Reserved{Service: r.Service, Unit: r.Unit, Ports: []api.PrivatePort{}}
	var kept []*os.File
	for _, p := range r.Ports {
		port := api.PrivatePort{Name: p.Name, Port: p.Port, Listen: []string{}, Kept: p.Kept != nil}
		for _, l := range p.Listen {
			port.Listen = append(port.Listen, l.String())
		}
		out.Ports = append(out.Ports, port)
		if p.Kept != nil {
			kept = append(kept, p.Kept)
		}
	}
	defer r.Close()
	if len(kept) > api.MaxListeners {
		return nil, api.Errorf(api.Conflict, "%s has more than %d listeners", name, api.MaxListeners)
	}
	if what.Listeners {
		c.conn.Send(kept)
	}
	write(c.w, http.StatusOK, out)
	http.NewResponseController(c.w).Flush() // while they are open
	return nil, nil
}

// reserved waits for a daemon that is still starting: who asks cannot go on
// without.
func (s *Server) reserved(ctx context.Context, unit string, taken []uint16) (*controller.Reserved, error) {
	for {
		r, err := s.World.Reserve(ctx, unit, taken)
		if !errors.Is(err, controller.ErrStarting) {
			return r, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(startAgain):
		}
	}
}

// startAgain is the pause between two looks whether the daemon has started.
const startAgain = 10 * time.Millisecond

func (s *Server) keep(c *call) (any, *api.Error) {
	defer func() { closeAll(c.conn.Take()) }()
	var what api.Keep
	if err := c.read(&what); err != nil {
		return nil, err
	}
	name, err := s.about(c, what.Unit)
	if err != nil {
		return nil, err
	}
	files := c.conn.Take()
	defer closeAll(files)
	if len(files) != len(what.Ports) {
		return nil, api.Errorf(api.BadRequest, `field "ports" names %d listeners, and %d came`, len(what.Ports), len(files)).
			WithHint("they are passed as file descriptors (SCM_RIGHTS) with the request, which curl cannot do")
	}
	for i, p := range what.Ports {
		if err := s.World.Keep(c.Context(), name, p.Name, p.Port, files[i]); err != nil {
			return nil, s.wrong(err, "keep the listener on "+printable(p.Name)+" of "+name)
		}
	}
	return api.Kept{Unit: name, Listeners: len(files)}, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
