package contender

import (
	"context"
	"fmt"
	"time"
)

// How long to pause between two looks: at what is read in microseconds, and at
// what needs a command.
const (
	quickly = 2 * time.Millisecond
	slowly  = 50 * time.Millisecond
)

// patience bounds a wait where the caller's context does not.
const patience = 2 * time.Minute

// await calls check until it returns nil.
func await(ctx context.Context, pause time.Duration, what string, check func() error) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w: %w", what, context.Cause(ctx), err)
		}
	}
}
