package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

func resumeVerb() *cobra.Command {
	var o pauseOptions
	cmd := &cobra.Command{
		Use:   "resume [options] SERVICE",
		Short: "end a pause: let the connections that wait go on",
		Long: `End the pause of a service. The connections that wait go on in the order in
which they came, as fast as the server accepts them; the command returns when
all have.

While nothing serves they go on waiting, until an instance does, or the time
of the pause is over.

The exit status is 3 if the service is not paused.`,
		Example: "  switcheroo resume myapp",
		Args:    arguments(1, 1, "SERVICE"),
		RunE: o.verb(func(ctx context.Context, s *session, args []string) error {
			return s.resume(ctx, args[0])
		}),
		ValidArgsFunction: complete(completeServices, one),
	}
	o.pauseFlags(cmd)
	return cmd
}

func (s *session) resume(ctx context.Context, service string) error {
	svc, err := s.client.Service(ctx, service, api.Select{})
	if err != nil {
		return s.suggest(ctx, err, service)
	}
	if svc.Pause != nil && svc.Current == "" && !s.quiet {
		fmt.Fprintf(s.stderr, "switcheroo: nothing serves %s: connections go on waiting until an instance does, for %s at most\n",
			service, rough(time.Until(svc.Pause.Until)))
	}
	out, err := s.client.Resume(ctx, api.Resume{Service: service})
	switch {
	case err != nil:
		return s.suggest(ctx, err, service)
	case s.json.on():
		return s.value(out)
	case s.quiet:
		return nil
	}
	told := out.Service + " is resumed; no connection had to wait"
	if out.Waited > 0 {
		told = fmt.Sprintf("%s is resumed; %s had to wait, %s at most", out.Service, count(out.Waited, "connection"), precise(out.Longest))
	}
	if out.Left > 0 {
		told += fmt.Sprintf("; the server was too slow to accept %d of them in time", out.Left)
	}
	s.lines(text(told))
	return nil
}
