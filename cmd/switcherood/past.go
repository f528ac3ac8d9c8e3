package main

import (
	"context"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/history"
)

// past is what the journal has of the daemon's own events. Everybody may ask, so
// few are answered at a time.
type past chan struct{}

func newPast() past { return make(past, 2) }

func (p past) History(ctx context.Context, service string, since time.Time, lines int) ([]api.Event, error) {
	select {
	case p <- struct{}{}:
		defer func() { <-p }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return history.Read(ctx, history.Query{Service: service, Since: history.Since(since), Lines: lines})
}
