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
				if c.want > 0 && h.anticipated() != 1 {
					t.Errorf("anticipated %d times before it is ready", h.anticipated())
				}
				time.Sleep(4 * time.Second / 10)
				if c.then != nil {
					c.then(h)
				}
				time.Sleep(time.Second / 2)
				synctest.Wait()
				if got := h.anticipated(); got != c.want {
					t.Errorf("anticipated %d times, want %d", got, c.want)
				}
			})
		})
	}
}

func (h *host) anticipated() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kernel.anticipated
}
