package drain

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/sockdiag"
)

// Monitor watches private ports in the network namespace of the process. Its
// methods may be called by any number of goroutines at once; all calls share
// their looks at the kernel.
type Monitor struct {
	log      *slog.Logger
	timeouts func() bool
	queues   look[queue]
	live     look[int]
	entries  look[int]

	handshakes handshakes
	left       departures
}

// Options are how New shall set up a Monitor.
type Options struct {
	Log *slog.Logger // nil: say nothing
	// Timeouts reports whether all redirected connections have the conntrack
	// timeouts that come with the rules (package companion): then no entry
	// outlives a reset, or by more than 1 s a SYN that nobody answered.
	// Conntrack need not be asked then as long as the listeners of this host
	// dropped nothing; to ask it is dear (see maxFiltered). nil: they do not.
	Timeouts func() bool
}

// New returns a Monitor that reads the kernel.
func New(o Options) *Monitor {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Timeouts == nil {
		o.Timeouts = func() bool { return false }
	}
	return &Monitor{
		log:        o.Log,
		timeouts:   o.Timeouts,
		queues:     look[queue]{read: readQueues},
		live:       look[int]{read: readLive},
		entries:    look[int]{read: readEntries},
		handshakes: handshakes{read: readWrong},
	}
}

// Left is what a wait ended with.
type Left struct {
	HalfOpen   int // Quiesce: handshakes under way
	Unaccepted int // Quiesce: connections in accept queues
	Live       int // Drain: connections
	// Entries are what Drain found in conntrack when it gave up waiting for
	// them. That is no reason not to stop the server: a client that went away
	// without a word leaves one for days.
	Entries int
	Expired bool // the time given was over first
}

// Connections returns how many live connections the ports have, accepted or
// not.
func (m *Monitor) Connections(ctx context.Context, ports []uint16) (int, error) {
	ports = distinct(ports)
	r, err := m.live.at(ctx, time.Now(), ports)
	if err != nil {
		return 0, say(ctx, "count connections of", ports, err)
	}
	return total(r, ports), nil
}

// distinct returns the ports sorted, each once.
func distinct(ports []uint16) []uint16 {
	ports = slices.Clone(ports)
	slices.Sort(ports)
	return slices.Compact(ports)
}

// queue is what waits at the listeners of one port.
type queue struct{ halfOpen, unaccepted int }

// readQueues reads the half-open ones first: one that leaves them meanwhile is
// found in the accept queue. A port without a listener has no queue: what was in
// it was reset when the listener closed.
func readQueues(ctx context.Context, ports []uint16) (map[uint16]queue, error) {
	half, err := sockdiag.HalfOpen(ctx, ports...)
	if err != nil {
		return nil, err
	}
	listeners, err := sockdiag.ListenersOn(ctx, ports...)
	if err != nil {
		return nil, err
	}
	queues := make(map[uint16]queue, len(ports))
	for _, l := range listeners {
		port := l.Addr.Port()
		queues[port] = queue{
			halfOpen:   half[port],
			unaccepted: queues[port].unaccepted + int(l.Queue),
		}
	}
	return queues, nil
}

func readLive(ctx context.Context, ports []uint16) (map[uint16]int, error) {
	return sockdiag.Live(ctx, ports...)
}

func total(r *reading[int], ports []uint16) int {
	n := 0
	for _, port := range ports {
		n += r.found[port]
	}
	return n
}

// say adds to an error what was done, unless it is nil or ctx's own.
func say(ctx context.Context, what string, ports []uint16, err error) error {
	if err == nil || err == ctx.Err() {
		return err
	}
	return fmt.Errorf("%s ports %v: %w", what, ports, err)
}
