package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

func listVerb() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "list [options] [PATTERN...]",
		Short: "list services, what they are served by, and what is on its way",
		Long: `List services: one line for each, with its public ports, the version that new
connections go to, since when, its open connections, and the other versions.`,
		Example:           "  switcheroo list\n  switcheroo list 'web*' --json=short",
		Args:              arguments(0, -1, "[PATTERN...]"),
		RunE:              o.verb(listRun),
		ValidArgsFunction: complete(completeServices, many),
	}
	o.flags(cmd)
	o.watchFlag(cmd)
	return cmd
}

func listRun(ctx context.Context, s *session, patterns []string) error {
	if s.watch {
		return s.watching(ctx, func(ctx context.Context, _ []api.Event) ([]line, error) { return s.list(ctx, patterns) })
	}
	all, err := s.services(ctx, patterns)
	if err != nil {
		return err
	}
	if s.json.on() {
		return s.value(all)
	}
	s.lines(s.listLines(all, time.Now())...)
	return nil
}

// services returns those that the patterns name, with connections counted.
func (s *session) services(ctx context.Context, patterns []string) ([]api.Service, error) {
	all, err := s.client.Services(ctx, api.Select{Connections: true})
	if err != nil {
		return nil, err
	}
	return pick(all, patterns)
}

func (s *session) list(ctx context.Context, patterns []string) ([]line, error) {
	all, err := s.services(ctx, patterns)
	return s.listLines(all, time.Now()), err
}

func (s *session) listLines(all []api.Service, now time.Time) []line {
	if len(all) == 0 {
		if s.quiet {
			return nil
		}
		return []line{text("No loaded unit has an [X-Switcheroo] section.")}
	}
	t := table{legend: []string{"SERVICE", "LISTEN", "CURRENT", "SINCE", "CONN", "OTHERS"}, right: []int{4}}
	for i := range all {
		svc := &all[i]
		current, since, open := span{"none", broken}, "-", "-"
		if in := svc.Instance(svc.Current); in != nil {
			current, since, open = span{versionOf(in), good}, ago(in.Since, now), connections(in)
		} else if svc.Current != "" {
			current = span{short(svc.Current), good}
		}
		t.add(span{svc.Name, strong}, span{listens(svc), plain}, current, span{since, plain}, span{open, plain}, span{others(svc), plain})
	}
	return t.lines(!s.noLegend)
}

// listens returns the public endpoints in short.
func listens(svc *api.Service) string {
	if len(svc.Listen) == 0 {
		return "-"
	}
	return strings.Join(svc.Listen, " ")
}

func connections(in *api.Instance) string {
	if in.Connections == nil {
		return "-"
	}
	return strconv.Itoa(*in.Connections)
}

// others says which instances there are beside the current one. Those that
// stand idle are not worth a word.
func others(svc *api.Service) string {
	var all []string
	if svc.Pause != nil {
		all = append(all, "paused")
	}
	for i := range svc.Instances {
		in := &svc.Instances[i]
		if in.State != api.Current && in.State != api.Inactive {
			all = append(all, versionOf(in)+" "+string(in.State))
		}
	}
	return strings.Join(all, ", ")
}
