package probe

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	minPause = 5 * time.Millisecond // between attempts; doubled up to maxPause
	maxPause = 250 * time.Millisecond
	// firstLimit is how long an attempt may hang, in a server that was not yet
	// ready for it, before another is made. It doubles each time, so a server
	// that is merely slow gets about half of the whole time.
	firstLimit = time.Second
)

// Wait repeats the attempt until it succeeds or ctx is done. The error then
// tells the last attempt's that was not cut short by ctx, if there was one;
// when ctx was cancelled it is context.Canceled as well.
func Wait(ctx context.Context, attempt func(context.Context) error) error {
	var (
		begun = time.Now()
		pause = minPause
		limit = firstLimit
		last  error
	)
	for n := 1; ; n++ {
		err, hung := try(ctx, limit, attempt)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if hung {
			limit *= 2
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, maxPause)
			continue
		}
		took := time.Since(begun).Round(time.Millisecond)
		if errors.Is(ctx.Err(), context.Canceled) {
			return fmt.Errorf("probe: %w after %s (last: %w)", ctx.Err(), took, last)
		}
		return fmt.Errorf("not ready within %s (attempts: %d): %w", took, n, last)
	}
}

// try makes one attempt and reports whether it used up its limit.
func try(ctx context.Context, limit time.Duration, attempt func(context.Context) error) (err error, hung bool) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = attempt(ctx)
	return err, ctx.Err() != nil
}
