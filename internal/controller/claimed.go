package controller

import (
	"context"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// claimed says that a process which serves without the daemon has the endpoint of
// a candidate. That passes when it ends.
type claimed struct{ who string }

func (c claimed) Error() string {
	return c.who + ", without the daemon: end that first, or give one of them another port"
}

// unclaimed is an error if somebody else leads an endpoint of in's to himself by
// rules of our kind: whoever came first would get the connections, and neither
// would know.
func (c *Controller) unclaimed(ctx context.Context, in *config.Instance, targets []nat.Target) error {
	who, err := c.Router.Claimed(ctx, nat.Redirect{Scope: nat.Scope(in.Scope), Targets: targets})
	switch {
	case err != nil && ctx.Err() == nil:
		// Whoever it may be refuses us as well.
		c.Log.Warn("not known whether another program has its endpoints", "unit", in.Unit, "error", err)
	case who != "":
		return claimed{who}
	}
	return nil
}
