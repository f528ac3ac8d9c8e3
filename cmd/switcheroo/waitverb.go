package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

func waitVerb() *cobra.Command {
	var o waitOptions
	cmd := &cobra.Command{
		Use:   "wait [options] INSTANCE",
		Short: "wait until new connections go to an instance, or it is drained",
		Long: `Wait for what happens anyway: until new connections go to an instance, or with
--for=drained until no older one is left; if it is an older one itself, until
its connections have ended.

An instance may wait for itself. With this line in its unit, "systemctl start"
returns once new connections go to it, and fails if they do not:

  ExecStartPost=/usr/bin/switcheroo wait %n`,
		Example: "  systemctl start --no-block myapp@v2 && switcheroo wait myapp@v2",
		Args:    arguments(1, 1, "INSTANCE"),
		RunE: o.verb(func(ctx context.Context, s *session, args []string) error {
			unit, err := instanceName(args[0])
			if err != nil {
				return err
			}
			return s.wait(ctx, o, unit)
		}),
		ValidArgsFunction: complete(completeInstances, one),
	}
	o.goalFlag(cmd, "for", "what to wait for: switched, or drained")
	o.waitFlags(cmd, false)
	return cmd
}

func (s *session) wait(ctx context.Context, o waitOptions, unit string) error {
	// What does not run when it is asked about has not failed to start.
	svc, err := s.serviceOf(ctx, unit)
	if err != nil {
		return err
	}
	in := svc.Instance(unit)
	idle := in == nil || in.State == api.Inactive || in.State == api.Failed
	out, err := s.client.Wait(ctx, api.Wait{Unit: unit, For: api.Goal(o.goal), Timeout: o.limit()})
	var e *api.Error
	switch {
	case errors.As(err, &e) && e.Code == api.StartFailed && idle:
		return failure{hinted{fmt.Errorf("%s does not run", short(unit)), fmt.Sprintf(`start it with "switcheroo deploy %s"`, short(unit))}, exitNotActive}
	case err != nil:
		return s.suggest(ctx, err, unit)
	case s.json.on():
		return s.value(out)
	case s.quiet:
	case out.Instance != nil && out.Instance.State == api.Current:
		s.lines(text(short(unit) + " is current"))
	default:
		s.lines(text(short(unit) + " has no connection left"))
	}
	return nil
}
