package drain

import (
	"context"
	"time"
)

// confirm is the pause before the second look at what was empty in the first.
const confirm = 10 * time.Millisecond

// wait looks at the ports until there is nothing left in so many looks running,
// or until the deadline (zero: none), and returns what was left in the last.
// When ctx ends, the error is ctx's.
func wait[T any](ctx context.Context, l *look[T], ports []uint16, left func(*reading[T]) Left, looks int, p pace, deadline time.Time) (Left, error) {
	defer l.watch(ports)()
	begun := time.Now()
	for since, empty := begun, 0; ; {
		r, err := l.at(ctx, since, ports)
		if err != nil {
			return Left{}, err
		}
		now := left(r)
		if now != (Left{}) {
			empty = 0
		} else if empty++; empty == looks {
			return now, nil
		}
		if over(deadline) {
			now.Expired = true
			return now, nil
		}
		pause := confirm
		if empty == 0 {
			pause = p.pause(time.Since(begun), r.took)
		}
		since = time.Now().Add(pause / 2) // another's look, if it is not too early, will do
		if err := sleep(ctx, pause, deadline); err != nil {
			return Left{}, err
		}
	}
}

// sleep waits for d, or until the deadline (zero: none) if that is earlier. The
// end of ctx ends it with ctx's error.
func sleep(ctx context.Context, d time.Duration, deadline time.Time) error {
	if !deadline.IsZero() {
		d = min(d, time.Until(deadline))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// over reports whether the deadline, if there is one, has come.
func over(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}
