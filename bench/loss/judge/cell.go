package judge

import (
	"net/netip"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// Cell is what was seen of one contender that switched servers under load.
type Cell struct {
	Contender string    `json:"contender"`
	Servers   []string  `json:"servers"` // kinds, one a service
	Ours      bool      `json:"ours"`
	Seed      uint64    `json:"seed"`
	Date      time.Time `json:"date"`
	// Switches is how many there were, and Took the median and the longest
	// time from the command to the new version.
	Switches int           `json:"switches"`
	TookP50  time.Duration `json:"took_p50_ns"`
	TookMax  time.Duration `json:"took_max_ns"`
	Duration time.Duration `json:"duration_ns"` // of the load

	Kinds map[load.Kind]*load.Counters `json:"kinds"`
	// Lost are the failures by class that count against the contender; Own are
	// those that the server causes by itself.
	Lost map[load.Class]int64 `json:"lost,omitempty"`
	Own  map[load.Class]int64 `json:"own,omitempty"`
	// Quiet are losses of a service before its first switch: they are among
	// Lost, and no switch is to blame.
	Quiet int64 `json:"quiet,omitempty"`
	// Hit is how many switches lost something, Worst the most that one lost.
	Hit   int   `json:"hit"`
	Worst int64 `json:"worst"`
	// Stood is how often the clients themselves stood still for 50 ms or more.
	Stood int `json:"stood,omitempty"`
	// Error is why the run was not carried to its end; what was seen until then
	// counts all the same.
	Error string `json:"error,omitempty"`
	// Losses are the first ones, in full.
	Losses  []Loss  `json:"losses,omitempty"`
	Latency Latency `json:"latency"`
	// Kernel are counters of the servers' host that grew, by name.
	Kernel map[string]int64 `json:"kernel,omitempty"`
}

// maxLosses bounds Cell.Losses; all are counted.
const maxLosses = 50

// New judges a run. Classes in own are the server's doing: they are told apart,
// and are no losses.
func New(switches []Switch, result *load.Result, own map[uint16][]load.Class) *Cell {
	c := &Cell{
		Switches: len(switches),
		Duration: result.Duration(),
		Kinds:    result.Kinds,
		Stood:    len(result.Stalls),
		Lost:     map[load.Class]int64{},
		Own:      map[load.Class]int64{},
	}
	c.took(switches)
	lines := Timelines(switches)
	type at struct {
		port    uint16
		version int
	}
	hits := map[at]int64{}
	for _, f := range result.Failures {
		port := portOf(f.Remote)
		if f.Class == load.ClientError {
			continue
		}
		if slices.Contains(own[port], f.Class) {
			c.Own[f.Class]++
			continue
		}
		l := Attribute(f, lines)
		c.Lost[f.Class]++
		if l.Switch == 0 {
			c.Quiet++
		} else {
			hits[at{port, l.Switch}]++
		}
		if len(c.Losses) < maxLosses {
			c.Losses = append(c.Losses, l)
		}
	}
	c.Hit = len(hits)
	for _, n := range hits {
		c.Worst = max(c.Worst, n)
	}
	c.leftOut(result)
	c.Latency = latency(result, switches)
	return c
}

// leftOut counts the failures of which no details were kept. Whether they were
// the server's own nobody can tell any more, so they are losses.
func (c *Cell) leftOut(result *load.Result) {
	for class, n := range result.Total().Failures {
		if class == load.ClientError {
			continue
		}
		if more := n - c.Lost[class] - c.Own[class]; more > 0 {
			c.Lost[class] += more
		}
	}
}

func (c *Cell) took(switches []Switch) {
	var all []time.Duration
	for _, s := range switches {
		all = append(all, s.Moved.Sub(s.Began))
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	c.TookP50, c.TookMax = all[len(all)/2], all[len(all)-1]
}

// Failed returns the number of losses of all classes.
func (c *Cell) Failed() int64 {
	var n int64
	for _, m := range c.Lost {
		n += m
	}
	return n
}

// Idle returns how many idle connections servers closed. With a contender that
// waits for connections to end, none should.
func (c *Cell) Idle() int64 { return c.Total().IdleCloses }

// Slowest returns the longest time that an answer took, of all kinds but streams.
func (c *Cell) Slowest() time.Duration {
	var slowest time.Duration
	for kind, n := range c.Kinds {
		if n != nil && kind != load.Stream {
			slowest = max(slowest, n.Answers.Max())
		}
	}
	return slowest
}

// Total returns the counters of all kinds of clients together.
func (c *Cell) Total() *load.Counters { return (&load.Result{Kinds: c.Kinds}).Total() }

// portOf returns the port of "10.9.0.1:8080", 0 if there is none.
func portOf(remote string) uint16 {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return 0
	}
	return a.Port()
}
