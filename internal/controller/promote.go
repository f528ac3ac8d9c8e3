package controller

import (
	"context"
	"errors"
	"log/slog"
)

// promote moves the enablement to what is live, so that a reboot comes back
// with it: the old one first, or an Also= of both would end up disabled.
func (c *Controller) promote(ctx context.Context, a promote) result {
	moved, err := c.moveEnablement(ctx, a)
	return func(context.Context) {
		o := c.oldOf(a.Old.ID)
		if o == nil {
			return
		}
		switch {
		case err != nil:
			n := about(Trouble, a.Service, &o.Activation)
			n.Reason = err.Error()
			c.announce(slog.LevelError, "enablement did not follow the switch: a reboot starts the old one", n,
				"service", a.Service, "unit", o.Unit, "error", err)
		case moved:
			n := News{Kind: Enabled, Service: a.Service, Unit: a.To, From: o.Unit}
			c.announce(slog.LevelInfo, "enabled for the next boot", n, "service", a.Service, "unit", a.To, "instead_of", o.Unit)
		}
		o.Promoted = true
		c.unsaved = true
	}
}

func (c *Controller) moveEnablement(ctx context.Context, a promote) (moved bool, err error) {
	if !a.Old.Promoting {
		var enabled bool
		err := c.insist(ctx, func(ctx context.Context) (err error) {
			enabled, err = c.Units.Enabled(ctx, a.Old.Unit)
			return err
		})
		if err != nil || !enabled || a.Old.Unit == a.To {
			return false, err
		}
		// Recorded first: after a crash between the two calls nothing would
		// be enabled, and nothing would show why.
		if err := c.record(ctx, a.Old.ID); err != nil {
			return false, err
		}
	}
	if err := c.insist(ctx, func(ctx context.Context) error { return c.Units.Disable(ctx, a.Old.Unit) }); err != nil {
		return false, err
	}
	err = c.insist(ctx, func(ctx context.Context) error { return c.Units.Enable(ctx, a.To) })
	if err == nil || ctx.Err() != nil {
		return err == nil, err
	}
	// Better the old one after a reboot than none.
	back := c.insist(ctx, func(ctx context.Context) error { return c.Units.Enable(ctx, a.Old.Unit) })
	return false, errors.Join(err, back)
}

// record saves that the enablement of the old activation id is being moved. It
// is an error if that is no old one any more.
func (c *Controller) record(ctx context.Context, id string) error {
	recorded := make(chan error, 1)
	c.post(ctx, func(context.Context) {
		o := c.oldOf(id)
		if o == nil {
			recorded <- errors.New("it is current again")
			return
		}
		o.Promoting = true
		c.unsaved = true
		c.save()
		recorded <- nil
	})
	select {
	case err := <-recorded:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
