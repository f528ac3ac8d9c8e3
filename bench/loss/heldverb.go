package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/cell"
	"github.com/switcheroo/switcheroo/bench/loss/contender"
	"github.com/switcheroo/switcheroo/bench/loss/judge"
	"github.com/switcheroo/switcheroo/bench/loss/report"
	"github.com/switcheroo/switcheroo/bench/loss/server"
	"github.com/switcheroo/switcheroo/test/load"
)

// heldVerb shows what becomes of clients that keep a connection for longer
// than DrainSec=: what the application's own shutdown does to them, and nothing
// else.
func heldVerb(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("loss held", flag.ContinueOnError)
	servers := flags.String("servers", "quick,graceful,abrupt,nginx,redis,node,python", "comma-separated `names`")
	out := flags.String("o", "bench/loss/results", "`directory` for held.json")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	kinds, err := pickServers(*servers)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	var all []report.Held
	for _, k := range kinds {
		h, err := hold(ctx, k, stderr)
		if err != nil {
			return err
		}
		if err := h.check(); err != nil {
			return fmt.Errorf("%s: %w", k.Name, err)
		}
		all = append(all, report.Held{Server: k.Name, Switches: h.cell.Switches, Held: h.held, Idle: h.cell.Total().IdleCloses, Lost: h.cell.Lost})
	}
	if err := report.HeldTable(stdout, all); err != nil {
		return err
	}
	return report.WriteJSON(filepath.Join(*out, "held.json"), all)
}

// drainFor is DrainSec= here; clients keep their connections for ten times as
// long. They are so few that the details of all losses are kept.
const (
	drainFor     = time.Second
	heldSwitches = 4
	heldClients  = 5 // in each place
)

// held is what was seen of one server.
type held struct {
	cell     *judge.Cell
	switches []judge.Switch
	held     int // connections that the daemon says were left at the deadline
}

func hold(ctx context.Context, k server.Kind, stderr io.Writer) (*held, error) {
	h := &held{}
	c, err := runCell(ctx, cell.Plan{
		Contender: contender.Switcheroo{Form: "nft", Backend: "iptables-nft", Drain: drainFor},
		Kinds:     []server.Kind{k}, Switches: heldSwitches, Seed: newSeed(0), Rest: 2 * drainFor, Lead: lead, Tail: tail,
		Adjust: func(c *load.Config) {
			*c = load.Config{
				Protocol: c.Protocol, KeepAlive: heldClients, Pause: 20 * time.Millisecond, Requests: 1 << 20,
				Seed: c.Seed, Samples: c.Samples,
			}
		},
		Inspect:  h.inspect,
		Switched: func(s judge.Switch) { h.switches = append(h.switches, s) },
	}, io.Discard)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(stderr, "%s: %d connections held, %d lost in a request\n", k.Name, h.held, c.Failed())
	h.cell = c
	return h, nil
}

var leftAtDeadline = regexp.MustCompile(`drain deadline: .*\bconnections=(\d+)`)

// inspect reads from the daemon's log how many connections were left when
// DrainSec= was over.
func (h *held) inspect(ctx context.Context, a *arena.Arena) error {
	text, err := a.Host.Journal(ctx, "switcherood.service")
	if err != nil {
		return err
	}
	for _, m := range leftAtDeadline.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return err
		}
		h.held += n
	}
	return nil
}

// check returns an error unless what clients saw is what the daemon had counted,
// connection by connection, and every loss is of a version that had been given
// its whole DrainSec=.
func (h *held) check() error {
	lost, idle := h.cell.Failed(), h.cell.Total().IdleCloses
	if h.held == 0 || lost+idle != int64(h.held) || lost != int64(len(h.cell.Losses)) {
		return fmt.Errorf("%d connections were held, %d closed while idle and %d lost (%d known in detail)", h.held, idle, lost, len(h.cell.Losses))
	}
	for _, l := range h.cell.Losses {
		version, err := strconv.Atoi(strings.TrimPrefix(l.Version, "v"))
		if err != nil {
			return fmt.Errorf("nobody knows which version it had: %s", l.Failure)
		}
		i := slices.IndexFunc(h.switches, func(s judge.Switch) bool { return s.Version == version+1 })
		if i < 0 || time.Unix(0, l.Time).Sub(h.switches[i].Began) < drainFor {
			return fmt.Errorf("lost before DrainSec= was over: %s", l.Failure)
		}
	}
	return nil
}
