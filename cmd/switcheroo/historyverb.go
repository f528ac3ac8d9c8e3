package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

// historyKinds are the events that a history is made of.
var historyKinds = []api.EventKind{api.Switched, api.SwitchedBack, api.Withdrawn, api.Released, api.NotReady, api.InstanceRefuse, api.Superseded, api.DrainExpired}

func historyVerb() *cobra.Command {
	var o options
	h := history{lines: 50}
	cmd := &cobra.Command{
		Use:   "history [options] [SERVICE]",
		Short: "tell the switches of the past, and the attempts that failed",
		Long: `Tell which version had the traffic when, what was not switched to and why, and
what was stopped with connections left, the latest last.

It is read from the journal, so it reaches back as far as that does, also over
restarts of the daemon and the host. The daemon need not run. Who may not read
the journal of the system sees nothing: root and group systemd-journal may.`,
		Example: "  switcheroo history myapp\n  switcheroo history --since=yesterday --json=short",
		Args:    arguments(0, 1, "[SERVICE]"),
		RunE: o.verb(func(ctx context.Context, s *session, args []string) error {
			if h.lines < 0 {
				return usageError{hinted{fmt.Errorf("--lines=%d", h.lines), "0 is all of them"}}
			}
			if len(args) > 0 {
				h.service = args[0]
			}
			return h.run(ctx, s)
		}),
		ValidArgsFunction: complete(completeServices, one),
	}
	o.flags(cmd)
	cmd.Flags().IntVarP(&h.lines, "lines", "n", h.lines, "how many of the latest; 0 is all")
	cmd.Flags().StringVar(&h.since, "since", "", "only what happened since then: journalctl's `TIME`, such as yesterday or -2h")
	return cmd
}

// history is what is to be told of the past.
type history struct {
	service string
	since   string
	lines   int
}

func (h *history) run(ctx context.Context, s *session) error {
	all, err := h.read(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 && h.service != "" {
		// Perhaps there is no such service.
		services, err := s.client.Services(ctx, api.Select{})
		found := false
		for i := range services {
			found = found || services[i].Name == h.service
		}
		if err == nil && !found {
			return nothing(h.service, services)
		}
	}
	switch {
	case s.json.on():
		return s.value(all)
	case len(all) == 0 && os.Geteuid() != 0:
		s.lines(text("The journal tells of no switch, or not you: root and group systemd-journal may"), text("read all of it."))
	case len(all) == 0 && !s.quiet:
		s.lines(text("The journal tells of no switch."))
	default:
		s.lines(h.table(s, all)...)
	}
	return nil
}

// read returns what the journal tells.
func (h *history) read(ctx context.Context) ([]api.Event, error) {
	// The unit is a field that only journald writes, so nobody else can.
	args := []string{"--output=json", "_SYSTEMD_UNIT=switcherood.service"}
	for _, k := range historyKinds {
		args = append(args, "SWITCHEROO_EVENT="+string(k))
	}
	if h.service != "" {
		args = append(args, "SWITCHEROO_SERVICE="+h.service)
	}
	if h.since != "" {
		args = append(args, "--since="+h.since)
	}
	if h.lines > 0 {
		args = append(args, "--lines="+strconv.Itoa(h.lines))
	}
	out, err := journalctl(ctx, args...)
	if err != nil && os.Geteuid() != 0 {
		return nil, hinted{err, "root and group systemd-journal may read it"}
	}
	if err != nil {
		return nil, err
	}
	all := []api.Event{}
	for entry := range bytes.Lines(out) {
		e, err := eventOf(entry)
		if err != nil {
			return nil, fmt.Errorf("read the journal: %w", err)
		}
		all = append(all, e)
	}
	return all, nil
}

// eventOf reads an entry of the journal.
func eventOf(entry []byte) (api.Event, error) {
	var raw map[string]any
	if err := json.Unmarshal(entry, &raw); err != nil {
		return api.Event{}, err
	}
	field := func(name string) string {
		v, _ := raw[name].(string) // what is no text is not ours
		return v
	}
	number := func(name string) uint64 {
		n, _ := strconv.ParseUint(field(name), 10, 64)
		return n
	}
	at := number("__REALTIME_TIMESTAMP")
	if at == 0 {
		return api.Event{}, errors.New("an entry without time")
	}
	return api.Event{
		ID: number("SWITCHEROO_EVENT_ID"), Time: time.UnixMicro(int64(at)).UTC(), Kind: api.EventKind(field("SWITCHEROO_EVENT")),
		Message: field("MESSAGE"), Service: field("SWITCHEROO_SERVICE"), Unit: field("SWITCHEROO_UNIT"),
		Invocation: field("SWITCHEROO_INVOCATION"), From: field("SWITCHEROO_FROM"), Reason: field("SWITCHEROO_REASON"),
		Took: api.Duration(time.Duration(number("SWITCHEROO_TOOK_USEC")) * time.Microsecond),
	}, nil
}

func (h *history) table(s *session, all []api.Event) []line {
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
