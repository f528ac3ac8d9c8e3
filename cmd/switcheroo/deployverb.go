package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
)

func deployVerb() *cobra.Command {
	var o waitOptions
	cmd := &cobra.Command{
		Use:   "deploy [options] INSTANCE",
		Short: "start an instance and wait until new connections go to it",
		Long: `Start an instance, wait until it has been probed, and new connections go to it.
An older instance that still runs gets them back without a start.

If it fails, the last lines that the unit has written to the journal are
printed, and the instance before keeps the traffic. With --wait=drained no older
instance is left at the end.`,
		Example: "  switcheroo deploy myapp@v2\n  switcheroo deploy myapp@v2 --wait=drained --timeout=10min",
		Args:    arguments(1, 1, "INSTANCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.noBlock && cmd.Flags().Changed("wait") {
				return usageError{errors.New("--no-block and --wait are two things")}
			}
			return o.verb(func(ctx context.Context, s *session, args []string) error {
				unit, err := instanceName(args[0])
				if err != nil {
					return err
				}
				return s.deploy(ctx, o, unit)
			})(cmd, args)
		},
		ValidArgsFunction: complete(completeUnits, one),
	}
	o.goalFlag(cmd, "wait", "what to wait for: switched, or drained")
	o.waitFlags(cmd, true)
	return cmd
}

func (s *session) deploy(ctx context.Context, o waitOptions, unit string) error {
	c := change{session: s, unit: unit, goal: o.wait(api.Goal(o.goal)), limit: o.limit(), verb: "deploy"}
	return c.make(ctx, func() (*api.Outcome, error) { return c.deploy(ctx) })
}

const (
	// taken is after how long a deploy has surely been taken: then it goes
	// on while the daemon is restarted, and is not asked for again.
	taken = time.Second
	// restartTime is how long a restart of the daemon may take.
	restartTime = 30 * time.Second
)

// deploy asks for a deploy, and goes on waiting over a restart of the daemon.
func (c *change) deploy(ctx context.Context) (*api.Outcome, error) {
	var since time.Time // when it went away
	limit := c.limit
	for {
		var out *api.Outcome
		var err error
		if began := time.Now(); since.IsZero() || c.goal == api.ForNothing || began.Sub(c.began) < taken {
			out, err = c.client.Deploy(ctx, api.Deploy{Unit: c.unit, Wait: c.goal, Timeout: limit})
		} else if out, err = c.client.Wait(ctx, api.Wait{Unit: c.unit, For: c.goal, Timeout: limit}); time.Since(began) > taken {
			since = time.Time{} // it was there
		}
		if err == nil || !away(err) {
			return out, err
		}
		if since.IsZero() {
			since = time.Now()
		} else if time.Since(since) > restartTime {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lookAgain):
		}
		limit = c.rest()
	}
}
