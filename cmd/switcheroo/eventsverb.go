package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

func eventsVerb() *cobra.Command {
	var o options
	var on bool
	cmd := &cobra.Command{
		Use:   "events [options] [PATTERN...]",
		Short: "tell what has happened since the daemon's start, or happens",
		Long: `Tell the latest events that the daemon remembers, or with -f those that happen
from now on, of all services or of those that are named, also over restarts of
the daemon. With --json=short each event is one line.`,
		Example: "  switcheroo events\n  switcheroo events -f myapp\n  switcheroo events -f --json=short",
		Args:    arguments(0, -1, "[PATTERN...]"),
		RunE: o.verb(func(ctx context.Context, s *session, args []string) error {
			return eventsRun(ctx, s, args, on)
		}),
		ValidArgsFunction: complete(completeServices, many),
	}
	o.flags(cmd)
	cmd.Flags().BoolVarP(&on, "follow", "f", false, "tell what happens from now on, as it happens")
	return cmd
}

func eventsRun(ctx context.Context, s *session, patterns []string, on bool) error {
	if err := s.mustMatch(ctx, patterns); err != nil {
		return err
	}
	if !on {
		known, err := s.known(ctx, everything)
		if err != nil {
			return err
		}
		for i := range known {
			if err := s.event(&s.page, &known[i], patterns); err != nil {
				return err
			}
		}
		if len(known) == 0 && !s.quiet && !s.json.on() {
			s.lines(text("Nothing has happened since the daemon's start."))
		}
		return nil
	}
	h, err := s.client.Health(ctx)
	if err != nil {
		return err
	}
	var failed error
	err = follow(ctx, s.client, h.Event, func(e *api.Event) bool {
		failed = s.event(s.stdout, e, patterns)
		return failed == nil
	}, func(err error) error {
		if away(err) {
			return nil
		}
		return err
	})
	if failed != nil {
		return failed
	}
	if ctx.Err() != nil {
		return nil // that is how it is ended
	}
	return err
}

// mustMatch is an error if a pattern can match nothing. A service that is not
// there yet may come, so only names are looked at.
func (s *session) mustMatch(ctx context.Context, patterns []string) error {
	if len(patterns) == 0 {
		return nil
	}
	all, err := s.client.Services(ctx, api.Select{})
	if err != nil {
		return err
	}
	for _, p := range patterns {
		if _, err := pick(all, []string{p}); err != nil && !isPattern(p) {
			return err
		}
	}
	return nil
}

// event prints one event if its service or unit is wanted.
func (s *session) event(w io.Writer, e *api.Event, patterns []string) error {
	wanted := len(patterns) == 0
	for _, p := range patterns {
		wanted = wanted || matches(p, e.Service) || matches(p, e.Unit) || matches(p, short(e.Unit))
	}
	switch {
	case !wanted:
		return nil
	case s.json.on():
		return s.encode(w, e)
	case e.Kind == api.Switching:
		return nil // what comes of it follows
	}
	for _, l := range eventLine(e, time.Now(), true, s.term.columns) {
		if _, err := io.WriteString(w, s.style.render(l, 0)+"\n"); err != nil {
			return err
		}
	}
	return nil
}
