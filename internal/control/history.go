package control

import (
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// usualLines is how many events of the past are told to who does not say.
const usualLines = 50

// history tells what the journal has of the past. The journal itself is not for
// everyone, but nothing of this is more than "events" tells everyone.
func (s *Server) history(c *call) (any, *api.Error) {
	if err := c.only("service", "since", "lines"); err != nil {
		return nil, err
	}
	lines, err := c.number("lines")
	if err != nil {
		return nil, err
	}
	if lines == 0 {
		lines = usualLines
	}
	if lines > api.MaxHistory {
		return nil, api.Errorf(api.BadRequest, "lines=%d: %d at most", lines, api.MaxHistory)
	}
	var since time.Time
	if text := c.URL.Query().Get("since"); text != "" {
		var e error
		if since, e = time.Parse(time.RFC3339Nano, text); e != nil {
			return nil, api.Errorf(api.BadRequest, "since=%s: not a time", printable(text)).WithHint("as in 2026-11-25T19:08:11Z")
		}
	}
	service := c.URL.Query().Get("service")
	if len(service) > maxUnitName {
		return nil, api.Errorf(api.BadRequest, "service=%s: not the name of a service", printable(service))
	}
	all, e := s.Journal.History(c.Context(), service, since, int(lines))
	if e != nil {
		return nil, s.wrong(e, "tell of the past")
	}
	return all, nil
}
