package control

import "github.com/switcheroo/switcheroo/internal/api"

// doctor says what goes wrong on this host, or soon will.
func (s *Server) doctor(c *call) (any, *api.Error) {
	if err := c.only(); err != nil {
		return nil, err
	}
	d, err := s.Doctor.Diagnose(c.Context(), operator(c.peer))
	if err != nil {
		return nil, s.wrong(err, "examine this host")
	}
	return d, nil
}
