package probe

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWait(t *testing.T) {
	starting := errors.New("503 starting")
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, c := range map[string]struct {
		attempt     func(n int, ctx context.Context) error
		timeout     time.Duration
		wantTook    time.Duration
		wantTries   int
		wantMessage string // empty for success
	}{
		"at once": {
			func(int, context.Context) error { return nil },
			30 * time.Second, 0, 1, "",
		},
		"the fourth time": {
			func(n int, _ context.Context) error {
				if n < 4 {
					return starting
				}
				return nil
			},
			30 * time.Second, (5 + 10 + 20) * time.Millisecond, 4, "",
		},
		"never": {
			func(int, context.Context) error { return starting },
			time.Second, time.Second, 9, "not ready within 1s (attempts: 9): 503 starting",
		},
		"after one that hung": {
			func(n int, ctx context.Context) error {
				if n == 1 {
					return hang(ctx)
				}
				return nil
			},
			30 * time.Second, time.Second + minPause, 2, "",
		},
		"slow, but within half of the time": {
			func(_ int, ctx context.Context) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(7500 * time.Millisecond):
					return nil
				}
			},
			30 * time.Second, (1+2+4)*time.Second + (5+10+20+7500)*time.Millisecond, 4, "",
		},
		"cut short: the one before counts": {
			func(n int, ctx context.Context) error {
				if n == 1 {
					return starting
				}
				return hang(ctx)
			},
			500 * time.Millisecond, 500 * time.Millisecond, 2, "not ready within 500ms (attempts: 2): 503 starting",
		},
		"the only one cut short": {
			func(_ int, ctx context.Context) error { return hang(ctx) },
			500 * time.Millisecond, 500 * time.Millisecond, 1, "not ready within 500ms (attempts: 1): context deadline exceeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
				defer cancel()
				begun, n := time.Now(), 0
				err := Wait(ctx, func(ctx context.Context) error { n++; return c.attempt(n, ctx) })
				message := ""
				if err != nil {
					message = err.Error()
				}
				if message != c.wantMessage || n != c.wantTries || time.Since(begun) != c.wantTook {
					t.Errorf("got %q, %d tries, %s\nwant %q, %d tries, %s",
						message, n, time.Since(begun), c.wantMessage, c.wantTries, c.wantTook)
				}
			})
		})
	}
}

func TestWaitCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		starting := errors.New("503 starting")
		err := Wait(ctx, func(context.Context) error { return starting })
		if !errors.Is(err, context.Canceled) || !errors.Is(err, starting) || !strings.Contains(err.Error(), "after 1s") {
			t.Errorf("got %v", err)
		}
	})
}
