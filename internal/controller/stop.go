package controller

import (
	"context"
	"errors"
)

// stop stops the unit of an old one, and tries until it can. It is for one
// activation only, and systemd is asked for a unit: so it looks each time
// whether that has been started again.
func (c *Controller) stop(ctx context.Context, a stop) result {
	called := false
	var r retry
	for {
		due, err := c.stopOnce(ctx, a)
		if err == nil {
			called = due
			break
		}
		first := r.pause == 0
		r.failed(c.Now())
		if first && ctx.Err() == nil {
			c.Log.Error("not stopped", "service", a.Service, "unit", a.Old.Unit, "error", err)
		}
		if sleep(ctx, r.pause) != nil {
			return nil
		}
	}
	return func(ctx context.Context) {
		if called {
			c.world.Stopped[a.Old.ID] = c.Now()
		}
		c.reread(ctx, a.Old.Unit)
	}
}

// stopOnce reports whether there was something to stop.
func (c *Controller) stopOnce(ctx context.Context, a stop) (due bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	u, err := c.Units.Status(ctx, a.Old.Unit)
	if err != nil {
		return false, err
	}
	if u.Invocation != a.Invocation || u.ended() && !u.autoRestart() {
		return false, nil
	}
	return true, c.Units.Stop(ctx, a.Old.Unit)
}

// reset clears the failed state of an old one.
func (c *Controller) reset(ctx context.Context, a reset) result {
	err := c.insist(ctx, func(ctx context.Context) error {
		return c.Units.ResetFailed(ctx, a.Old.Unit)
	})
	return func(ctx context.Context) {
		if err != nil {
			c.Log.Warn("failed state not reset", "unit", a.Old.Unit, "error", err)
		}
		c.end(ctx, end{Service: a.Service, ID: a.Old.ID, Unit: a.Unit})
	}
}

// insist repeats a call to systemd while that is away, until there is an answer
// or insistFor is over.
func (c *Controller) insist(ctx context.Context, call func(context.Context) error) error {
	began := c.Now()
	var r retry
	for {
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			return call(ctx)
		}()
		if err == nil || errors.As(err, new(Permanent)) || c.Now()-began >= insistFor {
			return err
		}
		r.failed(c.Now())
		if err := sleep(ctx, r.pause); err != nil {
			return err
		}
	}
}
