package unit

import (
	"context"
	"fmt"
)

// Run delivers events until ctx ends, which is no error. It connects again,
// 10 ms to 1 s apart, when a connection is lost or cannot be made.
func (c *Client) Run(ctx context.Context, events chan<- Event) error {
	var (
		wait backoff
		down bool
	)
	for ctx.Err() == nil {
		s, err := c.connect(ctx, events)
		if err == nil {
			err = s.run(ctx)
			if s.ever {
				wait, down = backoff{}, false
				s.deliver(ctx, Event{Kind: Lost})
			}
		}
		if ctx.Err() != nil {
			break
		}
		if !down {
			down = true
			c.log.Warn("no connection to systemd, trying again", "err", err)
		}
		wait.sleep(ctx)
	}
	return nil
}

// Resync asks Run to read every unit and its files again, from disk even
// where systemd has not reloaded them. Run needs no such help to notice what
// systemd announces.
func (c *Client) Resync() {
	select {
	case c.resync <- struct{}{}:
	default: // asked for already
	}
}

// connect opens a connection and asks for the signals.
func (c *Client) connect(ctx context.Context, events chan<- Event) (*session, error) {
	b, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	s := newSession(c, b, events)
	if err := s.listen(ctx); err != nil {
		b.close()
		return nil, fmt.Errorf("watch systemd: %w", err)
	}
	c.log.Info("watching systemd", "private", b.private)
	return s, nil
}
