package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

func connectionsVerb() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "connections [options] SERVICE|INSTANCE",
		Short: "list who is connected to which version: peer, age, bytes",
		Long: `List the connections of a service, those of older instances first, or of one
instance.

AGE is how old a connection is at least: nobody notes when one begins, but none
to an older instance is newer than the switch. IDLE is since when nothing came
or went, IN and OUT are bytes, as far as the kernel tells.`,
		Example:           "  switcheroo connections myapp\n  switcheroo connections myapp@v1 --json=short",
		Args:              arguments(1, 1, "SERVICE|INSTANCE"),
		RunE:              o.verb(connectionsRun),
		ValidArgsFunction: complete(completeAll, one),
	}
	o.flags(cmd)
	return cmd
}

func connectionsRun(ctx context.Context, s *session, args []string) error {
	all, err := s.client.Connections(ctx, args[0])
	if err != nil {
		return s.suggest(ctx, err, args[0])
	}
	if s.json.on() {
		if all == nil {
			all = []api.Connection{}
		}
		return s.value(all)
	}
	services, err := s.client.Services(ctx, api.Select{})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		if !s.quiet {
			s.lines(text("No connection to " + short(args[0]) + "."))
		}
		return nil
	}
	s.lines(s.connectionLines(all, services)...)
	return nil
}

func (s *session) connectionLines(all []api.Connection, services []api.Service) []line {
	instances := map[string]*api.Instance{}
	for i := range services {
		for j := range services[i].Instances {
			in := &services[i].Instances[j]
			instances[in.Unit] = in
		}
	}
	current := func(c api.Connection) int {
		if in := instances[c.Unit]; in != nil && in.State == api.Current {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b api.Connection) int { return current(a) - current(b) })
	t := table{legend: []string{"VERSION", "AGE", "IDLE", "IN", "OUT", "STATE", "PEER"}, right: []int{3, 4}}
	for i := range all {
		c := &all[i]
		version, state := short(c.Unit), plain
		if in := instances[c.Unit]; in != nil {
			version, state = versionOf(in), moodOfState(in.State)
		}
		t.add(span{version, state}, span{atLeast(c.AgeAtLeast), plain}, span{maybe(c.Idle), plain},
			span{size(c.Received), plain}, span{size(c.Sent), plain}, span{tcpState(c), plain}, span{c.Peer.String(), plain})
	}
	lines := t.lines(!s.noLegend)
	if !s.noLegend {
		lines = append(lines, nil, text(sums(all, instances)))
	}
	return lines
}

// sums says how many connections each instance has.
func sums(all []api.Connection, instances map[string]*api.Instance) string {
	var units []string
	n := map[string]int{}
	for i := range all {
		if n[all[i].Unit]++; n[all[i].Unit] == 1 {
			units = append(units, all[i].Unit)
		}
	}
	var parts []string
	for _, unit := range units {
		part := fmt.Sprintf("%d of %s", n[unit], short(unit))
		if in := instances[unit]; in != nil {
			part += fmt.Sprintf(" (%s)", in.State)
		}
		parts = append(parts, part)
	}
	return count(len(all), "connection") + ": " + strings.Join(parts, ", ")
}

// tcpState is TCP's state, or that the server has not taken it yet.
func tcpState(c *api.Connection) string {
	if !c.Accepted && c.State == "ESTABLISHED" {
		return "not accepted"
	}
	return strings.ToLower(strings.ReplaceAll(c.State, "_", "-"))
}

func atLeast(d *api.Duration) string {
	if d == nil {
		return "-"
	}
	return ">" + rough(time.Duration(*d))
}

func maybe(d *api.Duration) string {
	if d == nil {
		return "-"
	}
	return rough(time.Duration(*d))
}
