package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// change is a deploy, a rollback or a drain.
type change struct {
	*session
	verb    string
	unit    string // "" if the daemon chooses it
	service string // "" if it is not known yet
	goal    api.Goal
	limit   api.Duration
	began   time.Time
}

// rest returns how much of the time is left.
func (c *change) rest() api.Duration {
	if c.limit == api.Infinity {
		return c.limit
	}
	return max(c.limit-api.Duration(time.Since(c.began)), 1)
}

// make calls the daemon, tells what happens meanwhile and how it ended.
func (c *change) make(ctx context.Context, call func() (*api.Outcome, error)) error {
	h, err := c.client.Health(ctx)
	if err != nil {
		return err
	}
	c.began = time.Now()
	p := c.progressOn(ctx, c.unit, c.service, h.Event)
	out, err := call()
	p.end(ctx)
	if err != nil {
		return c.failed(ctx, err)
	}
	if c.service == "" {
		c.service = out.Service
	}
	left, err := c.expired(ctx, out)
	if err != nil {
		return err
	}
	if c.json.on() {
		if err := c.value(out); err != nil {
			return err
		}
	} else if !c.quiet {
		c.lines(text(c.told(out)))
	}
	if left == "" {
		return nil
	}
	c.show(ctx) // before the error
	return failure{hinted{errors.New(left), "a longer DrainSec= in the unit gives them more time"}, exitDrainDeadline}
}

// told says how it ended.
func (c *change) told(out *api.Outcome) string {
	unit, took := short(out.Unit), ""
	if d := time.Since(c.began); d > time.Millisecond {
		took = " (" + precise(api.Duration(d)) + ")"
	}
	switch {
	case c.verb == "drain" && out.Already:
		return unit + " has nothing to drain"
	case c.verb == "drain" && c.goal == api.ForNothing:
		return unit + " is being drained"
	case c.verb == "drain":
		return unit + " is drained" + took
	case out.Already && c.goal != api.ForDrained:
		return unit + " is current already"
	case c.goal == api.ForNothing && !isCurrent(out):
		return unit + " is on its way"
	case c.goal == api.ForDrained:
		return unit + " is current, and no older one is left" + took
	}
	return unit + " is current" + took
}

func isCurrent(out *api.Outcome) bool {
	return out.Instance != nil && out.Instance.State == api.Current
}

// failed says why a call failed: with the last words of the unit, if it is the
// unit that has failed.
func (c *change) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil && !c.quiet {
		fmt.Fprintf(c.stderr, "switcheroo: the %s goes on; \"switcheroo status\" shows how far\n", c.verb)
		return err
	}
	var known *api.Error
	if !errors.As(err, &known) {
		return err
	}
	switch known.Code {
	case api.StartFailed, api.ProbeFailed, api.RolledBack:
		unit := c.unit
		if unit == "" {
			break
		}
		c.lastLines(ctx, unit, c.began)
		if known.Code == api.ProbeFailed && known.HintText == "" {
			with := *known
			return with.WithHint("it was left running: look at it with \"systemctl status %[1]s\", end it with \"systemctl stop %[1]s\"", short(unit))
		}
	case api.NoService, api.NoInstance:
		name := c.unit
		if known.Code == api.NoService && c.service != "" {
			name = c.service
		}
		return c.suggest(ctx, err, name)
	}
	return err
}

// expired says which instances had connections when their DrainSec= was over;
// "" if none had, or nobody has waited for it.
func (c *change) expired(ctx context.Context, out *api.Outcome) (string, error) {
	if c.goal != api.ForDrained {
		return "", nil
	}
	if out.Left > 0 {
		return fmt.Sprintf("%s had %s left when its DrainSec= was over", short(out.Unit), count(out.Left, "connection")), nil
	}
	known, err := c.known(ctx, out.Event)
	if err != nil {
		return "", err
	}
	for _, e := range known {
		if e.Kind == api.DrainExpired && e.Service == c.service && (c.verb != "drain" || e.Unit == c.unit) {
			return fmt.Sprintf("%s had %s left when its DrainSec= was over", short(e.Unit), count(e.Connections, "connection")), nil
		}
	}
	return "", nil
}
