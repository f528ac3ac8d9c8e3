package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

func drainVerb() *cobra.Command {
	var o waitOptions
	cmd := &cobra.Command{
		Use:   "drain [options] INSTANCE",
		Short: "see an instance out: wait until its connections have ended",
		Long: `See an instance out without waiting for StandbySec=: it finishes its
connections, for DrainSec= at most, and is stopped. If it is current, new
connections go to an older one that still runs; without one nothing is done.

An instance may drain itself. In its unit, this line has it finish its
connections before systemd stops it:

  ExecStop=-/usr/bin/switcheroo drain %n`,
		Example: "  switcheroo drain myapp@v1",
		Args:    arguments(1, 1, "INSTANCE"),
		RunE: o.verb(func(ctx context.Context, s *session, args []string) error {
			unit, err := instanceName(args[0])
			if err != nil {
				return err
			}
			c := change{session: s, unit: unit, goal: o.wait(api.ForDrained), limit: o.limit(), verb: "drain"}
			svc, err := s.serviceOf(ctx, c.unit)
			if err != nil {
				return err
			}
			c.service = svc.Name
			return c.make(ctx, func() (*api.Outcome, error) {
				return s.client.Drain(ctx, api.Drain{Unit: c.unit, Wait: c.goal, Timeout: c.limit})
			})
		}),
		ValidArgsFunction: complete(completeInstances, one),
	}
	o.waitFlags(cmd, true)
	return cmd
}

// serviceOf returns the service that a unit is an instance of, or would be if
// it ran, as others of its template are.
func (s *session) serviceOf(ctx context.Context, unit string) (*api.Service, error) {
	all, err := s.client.Services(ctx, api.Select{})
	if err != nil {
		return nil, err
	}
	var like *api.Service
	for i := range all {
		for j := range all[i].Instances {
			of := all[i].Instances[j].Unit
			if of == unit {
				return &all[i], nil
			}
			if t := templateOf(unit); t != "" && t == templateOf(of) {
				like = &all[i]
			}
		}
	}
	if like == nil {
		return nil, nothing(short(unit), all)
	}
	return like, nil
}
