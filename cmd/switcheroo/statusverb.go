package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

func statusVerb() *cobra.Command {
	var o options
	var events int
	cmd := &cobra.Command{
		Use:   "status [options] [PATTERN...]",
		Short: "show services with their instances, and what has happened last",
		Long: `Show services: the public ports of each, its instances with their state, private
port and open connections, how far standby and drain are, and the last events.

The exit status is 3 if a service that is named has no current instance, or an
instance that is named does not run.`,
		Example: "  switcheroo status\n  switcheroo status myapp --watch\n  switcheroo status 'myapp@v*'",
		Args:    arguments(0, -1, "[PATTERN...]"),
		RunE: o.verb(func(ctx context.Context, s *session, args []string) error {
			return statusRun(ctx, s, args, events)
		}),
		ValidArgsFunction: complete(completeAll, many),
	}
	o.flags(cmd)
	o.watchFlag(cmd)
	cmd.Flags().IntVarP(&events, "events", "n", 5, "how many of the last events to show of each service")
	return cmd
}

func statusRun(ctx context.Context, s *session, patterns []string, n int) error {
	if s.watch {
		return s.watching(ctx, func(ctx context.Context, known []api.Event) ([]line, error) {
			all, err := s.services(ctx, patterns)
			return s.statusLines(all, known, n, time.Now()), err
		})
	}
	all, err := s.services(ctx, patterns)
	if err != nil {
		return err
	}
	if s.json.on() {
		err = s.value(all)
	} else {
		var known []api.Event
		if n > 0 {
			if known, err = s.known(ctx, everything); err != nil {
				return err
			}
		}
		s.lines(s.statusLines(all, known, n, time.Now())...)
	}
	if err == nil && len(patterns) > 0 && !active(all, patterns) {
		return ended(exitNotActive)
	}
	return err
}

// active reports whether all that was named serves, or at least runs.
func active(all []api.Service, patterns []string) bool {
	for i := range all {
		for _, p := range patterns {
			if matches(p, all[i].Name) && all[i].Current == "" {
				return false
			}
		}
		for j := range all[i].Instances {
			in := &all[i].Instances[j]
			for _, p := range patterns {
				named := short(in.Unit) == short(p) && p != all[i].Name
				if named && (in.State == api.Inactive || in.State == api.Failed) {
					return false
				}
			}
		}
	}
	return true
}

func (s *session) statusLines(all []api.Service, known []api.Event, n int, now time.Time) []line {
	if len(all) == 0 {
		return s.listLines(all, now)
	}
	var lines []line
	for i := range all {
		if i > 0 {
			lines = append(lines, nil)
		}
		lines = append(lines, headline(&all[i]))
		if paused := pauseOf(&all[i], now); paused != "" {
			lines = append(lines, line{{"  " + paused, bad}})
		}
		lines = append(lines, s.instanceLines(&all[i], now)...)
		lines = append(lines, s.eventLines(all[i].Name, known, n, now)...)
	}
	return lines
}

// headline says what a service is, and where a rollback would go.
func headline(svc *api.Service) line {
	l := line{{svc.Name, strong}, {": port " + listens(svc), plain}}
	if len(svc.Listen) > 1 {
		l[1].text = ": ports " + listens(svc)
	}
	if svc.Scope != "" && svc.Scope != "both" {
		l = append(l, span{" from " + svc.Scope + " only", plain})
	}
	if svc.Current == "" && svc.Pause == nil {
		l = append(l, span{"; clients are refused", broken})
	}
	if svc.Rollback != "" {
		to := short(svc.Rollback)
		if in := svc.Instance(svc.Rollback); in != nil {
			to = versionOf(in)
		}
		how := ", after its start"
		if svc.Warm {
			how = " at once"
		}
		l = append(l, span{"; rollback to " + to + how, plain})
	}
	return l
}

func (s *session) instanceLines(svc *api.Service, now time.Time) []line {
	t := table{legend: []string{"", "VERSION", "STATE", "PORT", "CONN", "SINCE", "UNIT"}, right: []int{3, 4}}
	for i := range svc.Instances {
		in := &svc.Instances[i]
		mark := span{" ", plain}
		if in.State == api.Current {
			mark = span{"*", good}
		}
		open := "-"
		if len(in.Ports) > 0 {
			open = connections(in)
		}
		r := t.add(mark, span{versionOf(in), strong}, span{string(in.State), moodOfState(in.State)}, span{ports(in), plain},
			span{open, plain}, span{ago(in.Since, now), plain}, span{in.Unit, plain})
		if what := progressOf(in, now); what != "" {
			r.more = append(r.more, line{{"   " + what, moodOfState(in.State)}})
		}
		if why := in.Reason; why != "" {
			if !strings.Contains(why, " ") { // a word of systemd's
				why = "result: " + why
			}
			for _, text := range wrap("   ", why, 3, s.fold()) {
				r.more = append(r.more, line{{text, moodOfState(in.State)}})
			}
		}
	}
	if len(t.rows) == 0 {
		return nil
	}
	return t.lines(!s.noLegend)
}

// ports are the private ports of an instance, each once.
func ports(in *api.Instance) string {
	if len(in.Ports) == 0 {
		return "-"
	}
	all := make([]string, len(in.Ports))
	for i, p := range in.Ports {
		all[i] = strconv.Itoa(int(p))
	}
	return strings.Join(all, ",")
}

// progressOf says how far the standby or drain of an instance is; "" if there is
// nothing to say.
func progressOf(in *api.Instance, now time.Time) string {
	switch {
	case in.State == api.Standby && in.Quiesced == nil:
		return "waits until it has accepted all that was led to it"
	case in.State == api.Standby && in.StandbyUntil != nil && in.StandbyUntil.After(now) && in.Since != nil:
		// How long that is, is the new one's affair.
		left, all := in.StandbyUntil.Sub(now), in.StandbyUntil.Sub(*in.Since)
		return fmt.Sprintf("%s kept warm, %s of %s left", bar(all-left, all), rough(left), rough(all.Round(time.Second)))
	case in.State == api.Draining && in.DrainUntil != nil:
		left := max(in.DrainUntil.Sub(now), 0)
		return fmt.Sprintf("%s drains, %s of %s left", bar(time.Duration(in.Drain)-left, time.Duration(in.Drain)), rough(left), rough(time.Duration(in.Drain)))
	case in.State == api.Draining && in.Drain == api.Infinity:
		return "drains, for as long as it takes"
	}
	return ""
}

// eventLines are the last n events of a service.
func (s *session) eventLines(service string, known []api.Event, n int, now time.Time) []line {
	var own []api.Event
	for _, e := range known {
		if e.Service == service && e.Kind != api.Switching {
			own = append(own, e)
		}
	}
	if n <= 0 || len(own) == 0 {
		return nil
	}
	lines := []line{nil}
	for _, e := range own[max(len(own)-n, 0):] {
		lines = append(lines, eventLine(&e, now, false, s.fold())...)
	}
	return lines
}

// eventLine tells an event: when, of which service if that is to be said, and
// what. It is folded at so many columns; 0 is nowhere.
func eventLine(e *api.Event, now time.Time, service bool, columns int) []line {
	at := clock(e.Time, now)
	lead := "  " + at + "  "
	if service {
		lead = at + "  "
		if e.Service != "" {
			lead += e.Service + ": "
		}
	}
	var lines []line
	for i, text := range wrap(lead, sentence(e), len(at)+4, columns) {
		if i == 0 {
			lines = append(lines, line{{lead, faint}, {text[len(lead):], moodOf(e.Kind)}})
			continue
		}
		lines = append(lines, line{{text, moodOf(e.Kind)}})
	}
	return lines
}

// clock returns the time of day, with the date unless that is today's.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}
