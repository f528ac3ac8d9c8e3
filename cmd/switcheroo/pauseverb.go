package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

// pauseOptions are those of pause and resume.
type pauseOptions struct {
	options
	most timespan
}

func (o *pauseOptions) pauseFlags(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	o.jsonFlag(cmd)
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "print errors only")
}

func pauseVerb() *cobra.Command {
	o := pauseOptions{most: timespan(api.DefaultPause)}
	cmd := &cobra.Command{
		Use:   "pause [options] SERVICE",
		Short: "have new connections wait, for a time, without refusing any",
		Long: `Have new connections of a service wait. They are neither refused nor led to an
instance until "switcheroo resume", or until --max is over. Connections that
are open go on. Instances can be deployed, restarted and rolled back meanwhile:
what has waited goes to the one that is current when it is over.

A service that is paused already is paused anew: --max counts from now.`,
		Example: "  switcheroo pause myapp\n  switcheroo pause --max 2min myapp",
		Args:    arguments(1, 1, "SERVICE"),
		RunE: o.verb(func(ctx context.Context, s *session, args []string) error {
			return s.pause(ctx, args[0], o.most)
		}),
		ValidArgsFunction: complete(completeServices, one),
	}
	cmd.Flags().Var(&o.most, "max", "for how long they wait at most; up to "+rough(time.Duration(api.MaxPause)))
	o.pauseFlags(cmd)
	return cmd
}

func (s *session) pause(ctx context.Context, service string, most timespan) error {
	if d := most.duration(); d <= 0 || d > time.Duration(api.MaxPause) {
		return usageError{hinted{fmt.Errorf("--max: expected more than 0 and up to %s", rough(time.Duration(api.MaxPause))),
			"a pause can be extended: pause again before it ends"}}
	}
	out, err := s.client.Pause(ctx, api.PauseRequest{Service: service, Max: api.Duration(most)})
	switch {
	case err != nil:
		return s.suggest(ctx, err, service)
	case s.json.on():
		return s.value(out)
	case !s.quiet:
		s.lines(text(fmt.Sprintf("%s is paused for %s at most; \"switcheroo resume %s\" ends it", out.Service, rough(most.duration()), out.Service)))
	}
	return nil
}

// pauseOf says how a service is paused; "" if it is not.
func pauseOf(svc *api.Service, now time.Time) string {
	switch p := svc.Pause; {
	case p == nil:
		return ""
	case p.Ending:
		return fmt.Sprintf("is resumed, %s still waiting", count(p.Waiting, "connection"))
	default:
		return fmt.Sprintf("paused, %s left, %s waiting", rough(p.Until.Sub(now)), count(p.Waiting, "connection"))
	}
}
