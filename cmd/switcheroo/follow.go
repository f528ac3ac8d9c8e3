package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// lookAgain is the pause before a daemon that has gone is called again.
const lookAgain = 200 * time.Millisecond

// follow calls tell with every event after since, until ctx ends or tell returns
// false. Events that happen while the daemon is restarted are in its successor's
// list, or it says that some are missing. gone is called when the daemon does
// not answer; an error that it returns ends the following.
func follow(ctx context.Context, c *api.Client, since uint64, tell func(*api.Event) bool, gone func(error) error) error {
	for ctx.Err() == nil {
		err := read(ctx, c, &since, tell)
		switch {
		case err == nil || ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF): // it is restarted, or we were too slow
		default:
			if err := gone(err); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
	return ctx.Err()
}

// read follows one stream to its end. It returns nil if tell wants no more.
func read(ctx context.Context, c *api.Client, since *uint64, tell func(*api.Event) bool) error {
	stream, err := c.Events(ctx, *since)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		e, err := stream.Next()
		if err != nil {
			return err
		}
		*since = max(*since, e.ID)
		if !tell(&e) {
			return nil
		}
	}
}

// known returns the events after since that have happened until now.
func (s *session) known(ctx context.Context, since uint64) ([]api.Event, error) {
	h, err := s.client.Health(ctx)
	if err != nil || h.Event <= since {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, knownTimeout)
	defer cancel()
	var all []api.Event
	err = read(ctx, s.client, &since, func(e *api.Event) bool {
		if e.Kind != api.Missed {
			all = append(all, *e)
		}
		return e.ID < h.Event
	})
	return all, err
}

// knownTimeout is for reading the events that have happened.
const knownTimeout = 10 * time.Second

// everything is before the first event.
const everything = 1
