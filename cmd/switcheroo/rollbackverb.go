package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

func rollbackVerb() *cobra.Command {
	var o waitOptions
	cmd := &cobra.Command{
		Use:   "rollback [options] SERVICE [INSTANCE]",
		Short: "give new connections back to the instance before",
		Long: `Give the new connections of a service back to the instance before, or to the one
that is named, by its unit or its version alone. If that still runs it is a
matter of milliseconds; otherwise it is started first, as in a deploy.

What had the traffic does not get it back until it is started again; it finishes
its connections, and is stopped.`,
		Example: "  switcheroo rollback myapp\n  switcheroo rollback myapp v1",
		Args:    arguments(1, 2, "SERVICE [INSTANCE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.noBlock && cmd.Flags().Changed("wait") {
				return usageError{errors.New("--no-block and --wait are two things")}
			}
			return o.verb(func(ctx context.Context, s *session, args []string) error {
				return s.rollback(ctx, o, args)
			})(cmd, args)
		},
		ValidArgsFunction: completeRollback,
	}
	o.goalFlag(cmd, "wait", "what to wait for: switched, or drained")
	o.waitFlags(cmd, true)
	return cmd
}

func (s *session) rollback(ctx context.Context, o waitOptions, args []string) error {
	svc, err := s.client.Service(ctx, args[0], api.Select{})
	if err != nil {
		return s.suggest(ctx, err, args[0])
	}
	unit := svc.Rollback
	if len(args) > 1 {
		unit = instanceOf(svc, args[1])
	}
	c := change{session: s, unit: unit, service: svc.Name, goal: o.wait(api.Goal(o.goal)), limit: o.limit(), verb: "rollback"}
	return c.make(ctx, func() (*api.Outcome, error) {
		return s.client.Rollback(ctx, api.Rollback{Service: svc.Name, Unit: unit, Wait: c.goal, Timeout: c.limit})
	})
}

// instanceOf returns the unit that a name stands for: an instance of the
// service's template if it is a version alone.
func instanceOf(svc *api.Service, name string) string {
	for i := range svc.Instances {
		if short(svc.Instances[i].Unit) == short(name) {
			return full(name)
		}
	}
	for i := range svc.Instances {
		if prefix, _, ok := strings.Cut(svc.Instances[i].Unit, "@"); ok && !strings.Contains(name, "@") {
			return full(prefix + "@" + name)
		}
	}
	return full(name)
}
