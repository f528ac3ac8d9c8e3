package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
)

const (
	quiesceMin   = 30 * time.Second // DrainSec= may be shorter
	watchPause   = time.Second
	watchTimeout = 5 * time.Second // of one probe of the current one
	watchTries   = 3
)

// quiesce waits until the queues of an old one's listener are empty.
func (c *Controller) quiesce(ctx context.Context, a quiesce) result {
	limit := max(quiesceMin, a.Old.Instance.Drain)
	left, err := c.persist(ctx, limit, func(limit time.Duration) (Left, error) {
		return c.Sockets.Quiesce(ctx, a.Old.ports(), limit)
	})
	return func(context.Context) {
		o := c.oldOf(a.Service, a.Old.ID)
		if o == nil {
			return
		}
		switch {
		case err != nil:
			c.Log.Error("queues not watched", "service", a.Service, "unit", o.Unit, "error", err)
		case left.HalfOpen+left.Unaccepted > 0:
			c.Log.Warn("queues did not empty", "service", a.Service, "unit", o.Unit, "after", limit,
				"half_open", left.HalfOpen, "unaccepted", left.Unaccepted)
		}
		o.QuiescedAt = c.Now()
		c.save()
		c.Log.Info("quiesced", "service", a.Service, "unit", o.Unit,
			"took", (o.QuiescedAt - o.Since).Round(time.Millisecond), "standby", max(0, o.StandbyUntil-o.QuiescedAt).Round(time.Millisecond))
	}
}

// persist repeats a wait whose sockets could not be read until limit is over:
// what cannot be seen is not therefore gone.
func (c *Controller) persist(ctx context.Context, limit time.Duration, wait func(time.Duration) (Left, error)) (Left, error) {
	began := c.Now()
	pause := look
	for {
		rest := limit
		if limit != config.Infinity {
			rest = max(0, limit-(c.Now()-began))
		}
		left, err := wait(rest)
		if err == nil || rest == 0 {
			return left, err
		}
		select {
		case <-ctx.Done():
			return left, ctx.Err()
		case <-time.After(min(pause, rest)):
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// watch probes the current one until an older one is kept warm no longer.
func (c *Controller) watch(ctx context.Context, a watch) result {
	failures := 0
	var last error
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchPause):
		}
		if c.Now() >= a.Until {
			return nil
		}
		if last = c.probeCurrent(ctx, a); last == nil {
			failures = 0
		} else if failures++; failures == watchTries {
			return func(context.Context) {
				c.world.Unhealthy[a.Current.ID] = fmt.Sprintf("it failed its probe %d times in a row: %v", watchTries, last)
			}
		}
	}
}

func (c *Controller) probeCurrent(ctx context.Context, a watch) error {
	ctx, cancel := context.WithTimeout(ctx, min(watchTimeout, a.Current.Instance.ProbeTimeout))
	defer cancel()
	ls, err := c.Units.Listeners(ctx, Unit{})
	if err != nil {
		return fmt.Errorf("read listeners: %w", err)
	}
	for _, addr := range probeAddrs(a.Current.Targets, ls) {
		if err := c.Prober.Probe(ctx, a.Current.Instance.Probe, addr); err != nil {
			return err
		}
	}
	return nil
}

// promote moves the enablement to what is live, so that a reboot comes back
// with it: the old one first, or an Also= of both would end up disabled.
func (c *Controller) promote(ctx context.Context, a promote) result {
	moved, err := c.moveEnablement(ctx, a)
	return func(context.Context) {
		o := c.oldOf(a.Service, a.Old.ID)
		if o == nil {
			return
		}
		switch {
		case err != nil:
			c.Log.Error("enablement did not follow the switch: a reboot may start the old one",
				"service", a.Service, "unit", o.Unit, "error", err)
		case moved:
			c.Log.Info("enabled for the next boot", "service", a.Service, "unit", a.To, "instead_of", o.Unit)
		}
		o.Promoted = true
		c.save()
	}
}

func (c *Controller) moveEnablement(ctx context.Context, a promote) (bool, error) {
	if !a.Old.Promoting {
		enabled, err := c.Units.Enabled(ctx, a.Old.Unit)
		if err != nil || !enabled || a.Old.Unit == a.To {
			return false, err
		}
		// Recorded first: after a crash between the two calls nothing would
		// be enabled, and nothing would show why.
		recorded := make(chan struct{})
		c.post(ctx, func(context.Context) {
			if o := c.oldOf(a.Service, a.Old.ID); o != nil {
				o.Promoting = true
				c.save()
			}
			close(recorded)
		})
		select {
		case <-recorded:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	if err := c.Units.Disable(ctx, a.Old.Unit); err != nil {
		return false, err
	}
	return true, c.Units.Enable(ctx, a.To)
}

// drain waits until the connections of an old one have ended.
func (c *Controller) drain(ctx context.Context, a drain) result {
	limit := a.Old.Instance.Drain
	if limit != config.Infinity {
		limit = max(0, a.Old.QuiescedAt+limit-c.Now())
	}
	left, err := c.persist(ctx, limit, func(limit time.Duration) (Left, error) {
		return c.Sockets.Drain(ctx, a.Old.ports(), limit)
	})
	return func(context.Context) {
		o := c.oldOf(a.Service, a.Old.ID)
		if o == nil {
			return
		}
		took := (c.Now() - o.Since).Round(time.Millisecond)
		switch {
		case err != nil:
			c.Log.Error("connections not watched", "service", a.Service, "unit", o.Unit, "error", err)
		case left.Connections > 0:
			c.Log.Warn("drain deadline: the rest is up to the application's own shutdown", "service", a.Service, "unit", o.Unit,
				"connections", left.Connections, "after", took)
		default:
			c.Log.Info("drained", "service", a.Service, "unit", o.Unit, "took", took)
		}
		o.Drained = true
		c.save()
	}
}

// stop stops the unit of an old one, and tries until it can.
func (c *Controller) stop(ctx context.Context, a stop) result {
	var r retry
	for {
		err := c.stopOnce(ctx, a.Unit)
		if err == nil || ctx.Err() != nil {
			break
		}
		first := r.pause == 0
		r.failed(c.Now())
		if first {
			c.Log.Error("not stopped", "service", a.Service, "unit", a.Unit, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(r.pause):
		}
	}
	return func(ctx context.Context) {
		c.reread(ctx, a.Unit)
	}
}

func (c *Controller) stopOnce(ctx context.Context, unit string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.Units.Stop(ctx, unit)
}

// oldOf returns the old activation id of a service, or nil if it is gone.
func (c *Controller) oldOf(service, id string) *Retired {
	svc := c.world.State.Services[service]
	if svc == nil {
		return nil
	}
	return svc.old(id)
}
