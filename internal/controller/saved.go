package controller

import (
	"maps"
	"time"
)

// saveAgain is the pause after a State that could not be saved.
const saveAgain = 5 * time.Second

// load reads what an earlier daemon left.
func (c *Controller) load() {
	state, err := c.Store.Load()
	if err != nil {
		// What it adds can be found again, if less exactly.
		c.Log.Warn("starting without the saved state", "error", err)
		state = State{}
	}
	for _, what := range state.mend() {
		c.Log.Warn("left out of the saved state, which is damaged", "what", what)
	}
	c.world.State = &state
	c.current, err = c.Store.LastCurrent()
	if err != nil {
		c.Log.Warn("not known what was current before the boot", "error", err)
	}
	if c.current == nil {
		c.current = map[string]string{}
	}
	c.world.LastCurrent = maps.Clone(c.current)
}

// save writes what has changed, and returns when to try again what could not
// be written, else 0. The daemon goes on without.
func (c *Controller) save() (again time.Duration) {
	if !c.unsaved {
		return 0
	}
	if err := c.Store.Save(*c.world.State); err != nil {
		if !c.unsaying {
			c.Log.Error("state not saved: a restart of the daemon may repeat or forget a step", "error", err)
		}
		c.unsaying = true
		return c.Now() + saveAgain
	}
	c.unsaved, c.unsaying = false, false
	return 0
}

// saveCurrent records for the next boot what is current.
func (c *Controller) saveCurrent() {
	next := maps.Clone(c.current)
	maps.DeleteFunc(next, func(name, unit string) bool {
		// Another service's by now, or nobody's.
		in := c.settings.valid[unit]
		return in != nil && in.Service != name
	})
	for name, svc := range c.world.State.Services {
		if cur := svc.serving(); cur != nil {
			next[name] = cur.Unit
		}
	}
	if maps.Equal(next, c.current) {
		return
	}
	if err := c.Store.SaveCurrent(next); err != nil {
		if !c.unsayingCurrent {
			c.Log.Error("current units not saved: the next boot may choose others", "error", err)
		}
		c.unsayingCurrent = true
		return
	}
	c.current, c.unsayingCurrent = next, false
}
