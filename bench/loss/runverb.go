package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/cell"
	"github.com/switcheroo/switcheroo/bench/loss/contender"
	"github.com/switcheroo/switcheroo/bench/loss/judge"
	"github.com/switcheroo/switcheroo/bench/loss/report"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// runVerb runs every contender with every server.
func runVerb(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("loss run", flag.ContinueOnError)
	contenders := flags.String("contenders", "", "comma-separated `names`, \"ours\" for Switcheroo's (default all)")
	servers := flags.String("servers", "quick,abrupt", "comma-separated `names`, \"\" for all")
	switches := flags.Int("switches", 20, "switches of each cell")
	speed := flags.Duration("speed", 2*time.Second, "how long to measure each contender at full speed, 0 for not at all")
	seed := flags.Uint64("seed", 0, "repeat the pauses of a run (default: from the clock)")
	out := flags.String("o", "bench/loss/results", "`directory` for run.json")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	picked, kinds, err := pickBoth(*contenders, *servers)
	if err != nil {
		return err
	}
	if *switches < 1 || *speed < 0 {
		return usageError{errors.New("-switches: want 1 or more; -speed: want 0 or more")}
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	result := &report.Run{Date: time.Now().UTC().Truncate(time.Second), Seed: newSeed(*seed), Commit: commit(ctx), Machine: report.ThisMachine(ctx)}
	name := filepath.Join(*out, "run.json")
	fmt.Fprintf(stderr, "loss: seed %d\n", result.Seed)
	for _, k := range kinds {
		for _, c := range picked {
			if why := c.Supports(k); why != nil {
				result.Skipped = append(result.Skipped, report.Skip{Contender: c.Name(), Server: k.Name, Why: why.Error()})
				continue
			}
			seen, err := runCell(ctx, cell.Plan{
				Contender: c, Kinds: []server.Kind{k}, Switches: *switches, Seed: result.Seed, Rest: rest,
				Lead: lead, Tail: tail, Samples: true,
			}, stderr)
			if err != nil {
				return err
			}
			result.Cells = append(result.Cells, seen)
			// What was seen is kept if a later cell cannot be run.
			if err := report.WriteJSON(name, result); err != nil {
				return err
			}
		}
	}
	if *speed > 0 {
		if result.Speeds, err = speeds(ctx, picked, kinds[0], *speed, stderr); err != nil {
			return err
		}
	}
	fmt.Fprintln(stdout)
	if err := result.Table(stdout); err != nil {
		return err
	}
	for _, s := range result.Skipped {
		fmt.Fprintf(stdout, "not run: %s with %s: %s\n", s.Contender, s.Server, s.Why)
	}
	if err := report.WriteJSON(name, result); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nwritten: %s\n", name)
	if n := result.Lost(); n > 0 {
		return fmt.Errorf("%d %w", n, errLost)
	}
	return nil
}

// The pauses of a cell: switches come at random, in quick succession, and the
// clients look on long enough before and after.
const (
	rest = 300 * time.Millisecond
	lead = time.Second
	tail = time.Second
)

// runCell runs p and says in one line what came of it, and in one more for
// each of the first losses of ours.
func runCell(ctx context.Context, p cell.Plan, stderr io.Writer) (*judge.Cell, error) {
	began := time.Now()
	c, err := cell.Run(ctx, p)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(stderr, "%-48s %4d switches %7d connections %6d lost  %5.1f s\n", p, c.Switches, c.Total().Connections, c.Failed(), time.Since(began).Seconds())
	if c.Error != "" {
		fmt.Fprintln(stderr, "   ", c.Error)
	}
	if c.Ours {
		for _, l := range c.Losses {
			fmt.Fprintf(stderr, "    switch %d + %v: %s\n", l.Switch, l.After.Round(time.Millisecond), l.Failure)
		}
	}
	return c, nil
}

// rounds is how often the speed of each contender is measured, in turn.
const rounds = 3

// speeds measures what contenders let through, those that can run k.
func speeds(ctx context.Context, contenders []contender.Contender, k server.Kind, d time.Duration, stderr io.Writer) ([]report.Speed, error) {
	var all []report.Speed
	for n := range rounds {
		fmt.Fprintf(stderr, "full speed of %s, round %d of %d\n", k.Name, n+1, rounds)
		for _, c := range contenders {
			if c.Supports(k) != nil {
				continue
			}
			s, err := cell.Full(ctx, c, k, d)
			if err != nil {
				return nil, err
			}
			all = append(all, report.Speed{Contender: c.Name(), Connections: s.Connections, Requests: s.Requests})
		}
	}
	return all, nil
}
