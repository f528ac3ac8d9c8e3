package controller

import (
	"context"
	"errors"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// ErrStarting says that the first plan is not made yet.
var ErrStarting = errors.New("switcherood is starting: it does not know yet what runs")

// ask is a question or request of another goroutine's, answered by the one that
// owns the world. It reports whether the world was changed.
type ask func(ctx context.Context) (changed bool)

// put hands a to the loop, unless ctx ends first. It does not wait for the
// answer.
func (c *Controller) put(ctx context.Context, a ask) error {
	select {
	case c.asks <- a:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ping returns once the loop has turned, or ctx has ended.
func (c *Controller) Ping(ctx context.Context) error {
	_, err := answer(ctx, c, func(context.Context) (struct{}, bool, error) { return struct{}{}, false, nil })
	return err
}

// View returns how things stand. What it returns is shared: it must not be
// changed. It waits while rules are being changed, until ctx ends at the latest.
func (c *Controller) View(ctx context.Context) (*View, error) {
	if v := c.view.Load(); v != nil {
		return v, nil
	}
	return answer(ctx, c, func(context.Context) (*View, bool, error) { return c.look(), false, nil })
}

// Rules returns what the kernel shall hold.
func (c *Controller) Rules(ctx context.Context) (nat.Rules, error) {
	return answer(ctx, c, func(context.Context) (nat.Rules, bool, error) { return c.world.State.rules(), false, nil })
}

// look returns the view, made anew if something may have changed since it was.
func (c *Controller) look() *View {
	v := c.view.Load()
	if v == nil {
		v = c.newView()
		c.view.Store(v)
	}
	return v
}

// stale says that things may stand differently from now on.
func (c *Controller) stale() {
	if v := c.view.Swap(nil); v != nil {
		close(v.stale)
	}
}

// answer has f run by the loop and returns what it returns.
func answer[T any](ctx context.Context, c *Controller, f func(context.Context) (T, bool, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1) // the loop never waits for who asked
	err := c.put(ctx, func(loop context.Context) bool {
		value, changed, err := f(loop)
		done <- result{value, err}
		return changed
	})
	if err != nil {
		var none T
		return none, err
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// fresh reads unit, not in the loop, and has f run by the loop with what is
// known of it then.
func fresh[T any](ctx context.Context, c *Controller, unit string, f func(Unit) (T, bool, error)) (T, error) {
	var none T
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	before, err := answer(ctx, c, func(context.Context) (uint64, bool, error) { return c.sightings[unit].times, false, nil })
	if err != nil {
		return none, err
	}
	u, err := c.Units.Status(ctx, unit)
	if err != nil {
		return none, err
	}
	return answer(ctx, c, func(context.Context) (T, bool, error) {
		if !c.synced {
			return none, false, ErrStarting
		}
		if old, known := c.world.Units[unit]; c.sightings[unit].times == before && (known || !u.ended()) {
			if known {
				u.Files = old.Files // systemd has not loaded anything newer
			}
			c.see(u)
		}
		value, changed, err := f(c.world.Units[unit])
		return value, changed || c.sightings[unit].times != before, err
	})
}
