package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/cell"
	"github.com/switcheroo/switcheroo/bench/loss/contender"
	"github.com/switcheroo/switcheroo/bench/loss/judge"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// What comes after a version's standby, to see it out, is not within 100 ms of
// the switch for anybody who keeps to StandbySec='s default of 10 s. The rest of
// the bench sets it to 0, so as to see out more versions at a time; here it is
// short, but longer than the second after which a drain needs no look at
// conntrack, and no switch begins before the one before is over: what is compared
// is one deploy with none.
const (
	latencyStandby = 2 * time.Second
	latencyRest    = 3 * time.Second
)

// latencyVerb compares requests around a switch with quiet times, several
// times over.
func latencyVerb(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("loss latency", flag.ContinueOnError)
	contenders := flags.String("contenders", "ours", "comma-separated `names`")
	servers := flags.String("servers", "quick,warm", "comma-separated `names`")
	switches := flags.Int("switches", 20, "switches of each run")
	runs := flags.Int("runs", 3, "runs of each contender with each server")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	picked, kinds, err := pickBoth(*contenders, *servers)
	if err != nil {
		return err
	}
	if *runs < 1 || *switches < 1 {
		return usageError{errors.New("-runs and -switches: want 1 or more")}
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "contender\tserver\trun\tp99 quiet\tp99 around\tp99 after\tratio")
	for _, k := range kinds {
		for _, c := range picked {
			if ours, ok := c.(contender.Switcheroo); ok {
				ours.Standby, ours.Unread = latencyStandby, judge.Window
				c = ours
			}
			var ratios []float64
			for n := range *runs {
				seen, err := runCell(ctx, cell.Plan{
					Contender: c, Kinds: []server.Kind{k}, Switches: *switches, Seed: newSeed(0),
					// Most of the time shall be quiet.
					Rest: latencyRest, Alone: true, Lead: 2 * lead, Tail: 2 * tail, Samples: true,
				}, stderr)
				if err != nil {
					return err
				}
				l := seen.Latency
				ratios = append(ratios, l.Ratio())
				fmt.Fprintf(t, "%s\t%s\t%d\t%v\t%v\t%v\t%.2f\n", c.Name(), k.Name, n+1,
					l.Quiet.P99.Round(10*time.Microsecond), l.Around.P99.Round(10*time.Microsecond), l.After.P99.Round(10*time.Microsecond), l.Ratio())
			}
			slices.Sort(ratios)
			fmt.Fprintf(t, "%s\t%s\tmedian\t\t\t\t%.2f\n", c.Name(), k.Name, ratios[len(ratios)/2])
		}
	}
	return t.Flush()
}
