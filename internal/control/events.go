package control

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// lifeSign is how often an empty line is sent when nothing happens, so that a
// reader who has gone without a word is noticed.
const lifeSign = 30 * time.Second

// events sends what happens, a line each, until the caller or the daemon ends.
// The reader has as long as one write may take; who is slower is dropped.
func (s *Server) events(c *call) (any, *api.Error) {
	if err := c.only("since"); err != nil {
		return nil, err
	}
	since, err := c.number("since")
	if err != nil {
		return nil, err
	}
	if since == 0 {
		since = s.Feed.Last()
	}
	c.w.Header().Set("Content-Type", "application/x-ndjson")
	c.w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(c.w)
	send := func(b []byte) bool {
		control.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := c.w.Write(b); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	if c.Method == http.MethodHead || !send(nil) {
		return nil, nil
	}
	alive := time.NewTicker(lifeSign)
	defer alive.Stop()
	for {
		news, missed, more := s.Feed.Since(since)
		var lines bytes.Buffer
		e := json.NewEncoder(&lines)
		if missed {
			first := s.Feed.Last() + 1
			if len(news) > 0 {
				first = news[0].ID
			}
			e.Encode(api.Event{ID: first - 1, Time: time.Now().UTC(), Kind: api.Missed, Message: "earlier events are not known any more"})
			since = first - 1
		}
		for _, n := range news {
			e.Encode(eventOf(n))
			since = n.ID
		}
		if lines.Len() > 0 && !send(lines.Bytes()) {
			return nil, nil
		}
		select {
		case <-more:
		case <-alive.C:
			if !send([]byte("\n")) {
				return nil, nil
			}
		case <-c.Context().Done():
			return nil, nil
		}
	}
}
