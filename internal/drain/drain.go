package drain

import (
	"context"
	"time"
)

// maxEntriesWait is how long the check of conntrack may take. Entries that
// matter live 1 s with the timeouts that come with the rules; what is there
// longer is of a client that vanished.
const maxEntriesWait = 5 * time.Second

var (
	livePace    = pace{min: 50 * time.Millisecond, max: 2 * time.Second, rest: 20}
	entriesPace = pace{min: 50 * time.Millisecond, max: 200 * time.Millisecond, rest: 10}
)

// Drain waits until no live connection is left on the ports, seen twice running,
// and then, for 5 s at most, until conntrack has no entry that could lead another
// one there (see [Left.Entries]). It returns at the deadline with Expired; the
// zero deadline never comes. When ctx ends, the error is ctx's. Where conntrack
// can't be read, Drain logs why and waits for the 5 s. It is not read where it
// can have no such entry (see [Options]).
func (m *Monitor) Drain(ctx context.Context, ports []uint16, deadline time.Time) (Left, error) {
	if len(ports) == 0 {
		return Left{}, nil
	}
	ports = distinct(ports)
	defer m.left.forget(ports)
	live := func(r *reading[int]) Left { return Left{Live: total(r, ports)} }
	for {
		left, err := wait(ctx, &m.live, ports, live, 2, livePace, deadline)
		if err != nil || left.Expired {
			return left, say(ctx, "drain", ports, err)
		}
		if m.left.longAgo(ports) && m.timeouts() && m.handshakes.allWell() {
			return left, nil
		}
		if left, err = m.waitForEntries(ctx, ports, deadline); err != nil || left.Expired {
			return left, err
		}
		// A connection that came of an entry while there was one has its
		// socket by now.
		r, err := m.live.at(ctx, time.Now(), ports)
		if err != nil {
			return Left{}, say(ctx, "drain", ports, err)
		}
		came := live(r)
		if came == (Left{}) {
			return left, nil
		}
		if over(deadline) {
			came.Expired = true
			return came, nil
		}
	}
}

// waitForEntries waits for conntrack, for 5 s or until the deadline, and returns
// the entries left.
func (m *Monitor) waitForEntries(ctx context.Context, ports []uint16, deadline time.Time) (Left, error) {
	until := time.Now().Add(maxEntriesWait)
	if !deadline.IsZero() && deadline.Before(until) {
		until = deadline
	}
	left, err := wait(ctx, &m.entries, ports, func(r *reading[int]) Left {
		return Left{Entries: total(r, ports)}
	}, 1, entriesPace, until)
	if ctx.Err() != nil {
		return Left{}, ctx.Err()
	}
	if err != nil {
		m.log.Warn("conntrack can't be read; waiting instead", "ports", ports, "for", time.Until(until), "err", err)
		return Left{}, sleep(ctx, maxEntriesWait, until)
	}
	left.Expired = left.Expired && over(deadline)
	return left, nil
}
