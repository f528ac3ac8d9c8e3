package controller

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
)

const (
	quiesceMin   = 30 * time.Second // DrainSec= may be shorter
	watchPause   = time.Second
	watchTimeout = 5 * time.Second // of one probe of the current one
	watchTries   = 3
	insistFor    = 30 * time.Second // on a call to systemd that no later plan repeats
)

// quiesce waits until the queues of an old one's listener are empty.
func (c *Controller) quiesce(ctx context.Context, a quiesce) result {
	limit := max(quiesceMin, a.Old.Instance.Drain)
	left, err := c.persist(ctx, limit-c.spent(limit, a.Old.Since), func(limit time.Duration) (Left, error) {
		return c.Sockets.Quiesce(ctx, a.Old.ports(), limit)
	})
	return func(context.Context) {
		o := c.oldOf(a.Old.ID)
		if o == nil {
			return
		}
		n := about(Trouble, a.Service, &o.Activation)
		n.Left = left
		switch {
		case err != nil:
			n.Reason = err.Error()
			c.announce(slog.LevelError, "queues not watched", n, "service", a.Service, "unit", o.Unit, "error", err)
		case left.HalfOpen+left.Unaccepted > 0:
			c.announce(slog.LevelWarn, "queues did not empty", n, "service", a.Service, "unit", o.Unit, "after", limit,
				"half_open", left.HalfOpen, "unaccepted", left.Unaccepted)
		}
		o.QuiescedAt = c.Now()
		c.unsaved = true
		n = about(Quiesced, a.Service, &o.Activation)
		n.Took, n.Left = o.QuiescedAt-o.Since, left
		c.announce(slog.LevelInfo, "quiesced", n, "service", a.Service, "unit", o.Unit,
			"took", n.Took.Round(time.Millisecond), "standby", max(0, o.StandbyUntil-o.QuiescedAt).Round(time.Millisecond))
	}
}

// spent returns how much of limit has been used up since the time given. A
// daemon that comes back goes on counting where the one before it began.
func (c *Controller) spent(limit, since time.Duration) time.Duration {
	if limit == config.Infinity {
		return 0
	}
	return min(max(0, c.Now()-since), limit)
}

// persist repeats a wait whose sockets could not be read until limit is over:
// what cannot be seen is not therefore gone.
func (c *Controller) persist(ctx context.Context, limit time.Duration, wait func(time.Duration) (Left, error)) (Left, error) {
	began := c.Now()
	pause := look
	for {
		rest := limit - c.spent(limit, began)
		left, err := wait(rest)
		if err == nil || rest == 0 || ctx.Err() != nil {
			return left, err
		}
		if pause == look {
			c.Log.Warn("sockets not read, trying again", "error", err)
		}
		pause = min(2*pause, 5*time.Second)
		if err := sleep(ctx, min(pause, rest)); err != nil {
			return left, err
		}
	}
}

// sleep waits for d, or until ctx ends, which is an error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// watch probes the current one until an older one is kept warm no longer.
func (c *Controller) watch(ctx context.Context, a watch) result {
	for failures := 0; ; {
		pause := watchPause
		if failures == 0 {
			pause = min(pause, max(0, a.Until-c.Now()))
		}
		// Doubts that came up in time are cleared up: the older one waits.
		if sleep(ctx, pause) != nil || c.Now() >= a.Until && failures == 0 {
			return nil
		}
		err := c.probeCurrent(ctx, a)
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures == watchTries {
			return func(context.Context) {
				c.world.Unhealthy[a.Current.ID] = fmt.Sprintf("it failed its probe %d times in a row: %v", watchTries, err)
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
	addrs, err := probeAddrs(a.Current.Targets, ls)
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		if err := c.Prober.Probe(ctx, a.Current.Instance.Probe, addr); err != nil {
			return err
		}
	}
	return nil
}

// drain waits until the connections of an old one have ended.
func (c *Controller) drain(ctx context.Context, a drain) result {
	limit := a.Old.Instance.Drain
	left, err := c.persist(ctx, limit-c.spent(limit, a.Old.QuiescedAt), func(limit time.Duration) (Left, error) {
		return c.emptied(ctx, &a.Old.Activation, limit)
	})
	return func(context.Context) {
		o := c.oldOf(a.Old.ID)
		if o == nil {
			return
		}
		n := about(Drained, a.Service, &o.Activation)
		n.Took, n.Left = c.Now()-o.Since, left
		took := n.Took.Round(time.Millisecond)
		switch {
		case err != nil:
			n.Kind, n.Reason = Trouble, err.Error()
			c.announce(slog.LevelError, "connections not watched", n, "service", a.Service, "unit", o.Unit, "error", err)
		case left.Connections > 0:
			n.Kind = DrainExpired
			c.announce(slog.LevelWarn, "drain deadline: the rest is up to the application's own shutdown", n, "service", a.Service, "unit", o.Unit,
				"connections", left.Connections, "after", took)
		default:
			c.announce(slog.LevelInfo, "drained", n, "service", a.Service, "unit", o.Unit, "took", took)
		}
		o.Drained = true
		c.unsaved = true
	}
}

// oldOf returns the old activation id, or nil if it is gone.
func (c *Controller) oldOf(id string) *Retired {
	for _, svc := range c.world.State.Services {
		if o := svc.old(id); o != nil {
			return o
		}
	}
	return nil
}
