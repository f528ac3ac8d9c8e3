package controller

import (
	"testing"
	"testing/synctest"
	"time"
)

// An Apply is anticipated once when an instance begins to start, and of nothing
// else that is said of it.
func TestAnticipate(t *testing.T) {
	for name, c := range map[string]struct {
		app  app
		then func(*host)
		want int
	}{
		"it starts":               {app: app{readyAfter: time.Second}, want: 1},
		"in several steps":        {app: app{readyAfter: time.Second, post: time.Second}, want: 1},
		"and is never ready":      {app: app{readyAfter: -time.Second}, want: 1},
		"and is told of again":    {app: app{readyAfter: 10 * time.Second}, then: (*host).reload, want: 1},
		"it is started once more": {app: app{}, then: func(h *host) { h.systemctl("restart", v1) }, want: 2},
		"it is stopped":           {app: app{}, then: func(h *host) { h.systemctl("stop", v1) }, want: 1},
		"it is restarted, again and again": {app: app{readyAfter: -time.Second, restart: time.Second}, then: func(h *host) {
			time.Sleep(4 * time.Second) // it has failed, waits, and starts, twice
		}, want: 3},
		"it has no section":        {app: app{section: true}, want: 0},
		"its section is not valid": {app: app{file: "Listen=nonsense"}, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *host) {
				h.run()
				synctest.Wait()
				h.start(v1, c.app)
				time.Sleep(time.Second / 2)
				h.wantAnticipated(min(c.want, 1)) // before it is ready
				time.Sleep(4 * time.Second / 10)
				if c.then != nil {
					c.then(h)
				}
				time.Sleep(time.Second / 2)
				h.wantAnticipated(c.want)
			})
		})
	}
}

// One that has come up before anything is heard of it is new, too; but not to a
// daemon that has just started.
func TestAnticipateWhatIsUp(t *testing.T) {
	bubble(t, func(h *host) {
		h.start(v1, app{})
		h.start(v2, app{readyAfter: time.Minute})
		time.Sleep(time.Second)
		h.run()
		time.Sleep(time.Second)
		h.wantAnticipated(1) // v2, which starts
		h.mu.Lock()
		h.events = func(e Event) []Event {
			if e.Unit.Active == "activating" {
				return nil
			}
			return []Event{e}
		}
		h.mu.Unlock()
		h.start(v3, app{})
		time.Sleep(time.Second)
		h.wantAnticipated(2)
	})
}

func (h *host) wantAnticipated(n int) {
	h.t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.kernel.anticipated != n {
		h.t.Errorf("anticipated %d times, want %d", h.kernel.anticipated, n)
	}
}
