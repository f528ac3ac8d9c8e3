package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/history"
)

func historyVerb() *cobra.Command {
	var o options
	h := past{Query: history.Query{Lines: 50}}
	var since string
	cmd := &cobra.Command{
		Use:   "history [options] [SERVICE]",
		Short: "tell the switches of the past, and the attempts that failed",
		Long: fmt.Sprintf(`Tell which version had the traffic when, what was not switched to and why, and
what was stopped with connections left, the latest last.

It is read from the journal, so it reaches back as far as that does, also over
restarts of the daemon and the host. The daemon need not run if the journal may
be read, as root and group systemd-journal may. For others the daemon reads it,
and tells the latest %d at most.`, api.MaxHistory),
		Example: "  switcheroo history myapp\n  switcheroo history --since=yesterday --json=short",
		Args:    arguments(0, 1, "[SERVICE]"),
		RunE: o.verb(func(ctx context.Context, s *session, args []string) error {
			if h.Lines < 0 {
				return usageError{hinted{fmt.Errorf("--lines=%d", h.Lines), "0 is all of them"}}
			}
			if len(args) > 0 {
				h.Service = args[0]
			}
			if err := h.from(ctx, since); err != nil {
				return err
			}
			return h.run(ctx, s)
		}),
		ValidArgsFunction: complete(completeServices, one),
	}
	o.flags(cmd)
	cmd.Flags().IntVarP(&h.Lines, "lines", "n", h.Lines, "how many of the latest; 0 is all")
	cmd.Flags().StringVar(&since, "since", "", "only what happened since then: journalctl's `TIME`, such as yesterday or -2h")
	return cmd
}

// past is what is to be told.
type past struct {
	history.Query
	since time.Time // Query's Since; zero if there is none
}

// from has it told since a time in journalctl's notation; "" is the beginning.
func (h *past) from(ctx context.Context, text string) (err error) {
	if text == "" {
		return nil
	}
	if h.since, err = history.Time(ctx, text); errors.Is(err, history.ErrNoTime) {
		return usageError{hinted{fmt.Errorf("--since=%s: not a time", text), "as in yesterday, -2h or \"2026-11-25 19:08:11\""}}
	}
	h.Since = history.Since(h.since)
	return err
}

// read returns what is to be told: from the journal, or the daemon if this user
// may not read that.
func (h *past) read(ctx context.Context, s *session) ([]api.Event, error) {
	all, err := history.Read(ctx, h.Query)
	if err == nil && (len(all) > 0 || os.Geteuid() == 0) {
		return all, nil
	}
	lines := h.Lines
	if lines == 0 || lines > api.MaxHistory {
		lines = api.MaxHistory
	}
	told, failed := s.client.History(ctx, h.Service, h.since, lines)
	switch {
	case failed == nil:
		return told, nil
	case err != nil && os.Geteuid() != 0:
		return nil, hinted{err, "root and group systemd-journal may read it; others ask the daemon, but " + plainly(failed).Error()}
	case err == nil:
		return nil, hinted{fmt.Errorf("the journal tells of no switch, or not you: %w", plainly(failed)), "root and group systemd-journal may read all of it"}
	}
	return nil, err
}

func (h *past) run(ctx context.Context, s *session) error {
	all, err := h.read(ctx, s)
	if err != nil {
		return err
	}
	if len(all) == 0 && h.Service != "" {
		// Perhaps there is no such service.
		services, err := s.client.Services(ctx, api.Select{})
		found := false
		for i := range services {
			found = found || services[i].Name == h.Service
		}
		if err == nil && !found {
			return nothing(h.Service, services)
		}
	}
	switch {
	case s.json.on():
		return s.value(all)
	case len(all) == 0 && !s.quiet:
		s.lines(text("The journal tells of no switch."))
	default:
		s.lines(h.table(s, all)...)
	}
	return nil
}

func (h *past) table(s *session, all []api.Event) []line {
	t := table{legend: []string{"TIME", "WHAT", "INSTANCE", "BEFORE", "TOOK"}}
	for i := range all {
		e := &all[i]
		before, took := "-", "-"
		if e.From != "" && e.From != e.Unit {
			before = short(e.From)
		}
		if e.Took > 0 {
			took = precise(e.Took)
		}
		r := t.add(span{e.Time.Local().Format(time.DateTime), faint}, span{string(e.Kind), moodOf(e.Kind)},
			span{short(e.Unit), plain}, span{before, plain}, span{took, plain})
		if e.Reason != "" && e.Kind != api.Switched {
			for _, text := range wrap("  ", e.Reason, 2, s.fold()) {
				r.more = append(r.more, line{{text, moodOf(e.Kind)}})
			}
		}
	}
	return t.lines(!s.noLegend)
}
