package controller

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// inspectPause keeps a host whose firewall changes all the time from being
// inspected all the time.
const inspectPause = 2 * time.Second

// inspections are the looks for others' rules that stand in the way of ours:
// at the first switch of each service, and when another program has changed
// rules.
type inspections struct {
	done map[string]bool // services that were looked at since the daemon's start
	due  bool            // another look, after the one under way
	told []nat.Finding   // that were logged, while they last
}

// inspect looks at others' rules after pause. A look under way is followed by
// another.
func (c *Controller) inspect(ctx context.Context, pause time.Duration) {
	redirects := c.world.State.rules().Redirects
	for _, r := range redirects {
		c.inspections.done[r.Service] = true
	}
	t := task{Kind: inspectTask}
	if c.world.Running[t] || len(redirects) == 0 {
		c.inspections.due = len(redirects) > 0
		return
	}
	c.start(ctx, t, func(ctx context.Context) result {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		ctx, cancel := context.WithTimeout(ctx, applyTimeout)
		defer cancel()
		findings, err := c.Router.Foreign(ctx, redirects)
		return func(ctx context.Context) {
			if err != nil {
				c.Log.Warn("other programs' firewall rules not read", "error", err)
			} else {
				c.report(findings, redirects)
			}
			if c.inspections.due {
				c.inspections.due = false
				c.inspect(ctx, inspectPause)
			}
		}
	})
}

// report logs what was found and not logged before.
func (c *Controller) report(findings []nat.Finding, redirects []nat.Redirect) {
	for _, f := range findings {
		if slices.Contains(c.inspections.told, f) {
			continue
		}
		args := []any{"rule", f.Rule}
		n := News{Kind: Obstructed, Reason: f.Rule}
		if i := slices.IndexFunc(redirects, func(r nat.Redirect) bool {
			return slices.ContainsFunc(r.Targets, func(t nat.Target) bool { return t.Endpoint == f.Endpoint })
		}); i >= 0 {
			n.Service = redirects[i].Service
			args = append([]any{"service", n.Service}, args...)
		}
		if f.Fix != "" {
			args = append(args, "instead", f.Fix)
		}
		c.announce(slog.LevelWarn, f.Message, n, args...)
	}
	c.inspections.told = findings
}
