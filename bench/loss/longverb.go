package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/cell"
	"github.com/switcheroo/switcheroo/bench/loss/contender"
	"github.com/switcheroo/switcheroo/bench/loss/report"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// longVerb runs chunks of switches of ours, each on a host of its own with
// several services side by side, until the total is reached. What is done is
// kept in a file, so it can be ended at any time and goes on where it was.
func longVerb(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("loss long", flag.ContinueOnError)
	contenders := flags.String("contenders", "ours", "comma-separated `names`")
	servers := flags.String("servers", "", "comma-separated `names` (default all)")
	total := flags.Int("total", 10_000, "switches after which to end, with those of earlier runs")
	services := flags.Int("services", 5, "services side by side")
	switches := flags.Int("switches", 40, "switches of each service on one host")
	seed := flags.Uint64("seed", 0, "of the first chunk's pauses, the next one for each further chunk (default: from the clock)")
	out := flags.String("o", "bench/loss/results", "`directory` for long.json")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	picked, kinds, err := pickBoth(*contenders, *servers)
	if err != nil {
		return err
	}
	if *total < 1 || *switches < 1 {
		return usageError{errors.New("-total and -switches: want 1 or more")}
	}
	if *services < 1 || *services > arena.MaxServices {
		return usageError{fmt.Errorf("-services: want 1 to %d", arena.MaxServices)}
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	name := filepath.Join(*out, "long.json")
	var sum report.Long
	if err := report.ReadJSON(name, &sum); err != nil {
		return err
	}
	if len(sum.Chunks) > 0 {
		fmt.Fprintf(stderr, "loss: %s has %d switches already\n", name, sum.Switches())
	}
	for sum.Switches() < *total {
		p := chunk(len(sum.Chunks), picked, kinds, *services, *switches)
		if p.Seed = newSeed(0); *seed != 0 {
			p.Seed = *seed + uint64(len(sum.Chunks))
		}
		c, err := runCell(ctx, p, stderr)
		if err != nil {
			return err
		}
		sum.Add(c, commit(ctx))
		if err := sum.Write(name); err != nil {
			return err
		}
	}
	fmt.Fprintln(stdout)
	if err := sum.Table(stdout); err != nil {
		return err
	}
	if n := sum.Lost(); n > 0 {
		return fmt.Errorf("%d %w", n, errLost)
	}
	return nil
}

// chunk is the plan of chunk n: contenders take turns, and so do the servers,
// so that each contender meets each server that it can run, and each server
// different others.
func chunk(n int, contenders []contender.Contender, kinds []server.Kind, services, switches int) cell.Plan {
	c, round := contenders[n%len(contenders)], n/len(contenders)
	var able []server.Kind
	for _, k := range kinds {
		if c.Supports(k) == nil {
			able = append(able, k)
		}
	}
	var some []server.Kind
	for i := range min(services, services*len(able)) { // none for one that can run none: Run says so
		some = append(some, able[(round*services+i+round/len(able))%len(able)])
	}
	return cell.Plan{
		Contender: c, Kinds: some, Switches: switches, Rest: rest,
		Lead: lead, Tail: tail, Adjust: share(services),
	}
}
