package controller

import (
	"errors"
	"time"
)

// blockage is a change of rules that is not made yet.
type blockage struct {
	since time.Duration
	why   string // how the last try ended, "" if there was none
}

// suspect is after how long a change of rules is taken to wait for somebody.
const suspect = time.Second

// Blocked says why rules cannot be changed now, as far as is known: mostly,
// another program holds their lock. It is "" if nothing is in the way. It does
// not wait for the goroutine that owns the world, which may be what waits.
func (c *Controller) Blocked() string {
	b := c.blocked.Load()
	switch {
	case b == nil:
		return ""
	case b.why != "":
		return b.why
	case c.Now()-b.since < suspect:
		return ""
	}
	return c.Router.Holder()
}

// block notes that a change of rules is under way, or how a try has failed.
func (c *Controller) block(err error) {
	b := blockage{since: c.Now()}
	if was := c.blocked.Load(); was != nil {
		b = *was
	}
	if err != nil {
		b.why = err.Error()
		var hinted interface{ Hint() string }
		if errors.As(err, &hinted) && hinted.Hint() != "" {
			b.why += " (" + hinted.Hint() + ")"
		}
	}
	c.blocked.Store(&b)
}
