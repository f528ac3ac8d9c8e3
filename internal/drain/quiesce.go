package drain

import (
	"context"
	"time"
)

// settle is how long a SYN may take from the NAT decision to the listener's
// socket: meanwhile it shows nowhere, so there is no condition to wait for. It
// takes microseconds; but the first look is in no hurry, and keeps a processor
// from the servers of the host for a millisecond (the kernel walks its table of
// connections without a pause), right when the new one gets its first requests.
const settle = 100 * time.Millisecond

// A look at the queues walks all connections of the host for the half-open
// ones, in 3 ms if there are 10,000.
var queuesPace = pace{min: 5 * time.Millisecond, max: 100 * time.Millisecond, rest: 5}

// Quiesce waits until the listeners on the ports have neither half-open nor
// unaccepted connections, seen twice running; ports without a listener have
// none. It is called after the rules have ceased to lead to the ports, and takes
// about 115 ms if nothing is left. After max it returns what was left, with
// Expired. When ctx ends, the error is ctx's.
func (m *Monitor) Quiesce(ctx context.Context, ports []uint16, max time.Duration) (Left, error) {
	if len(ports) == 0 {
		return Left{}, nil
	}
	ports = distinct(ports)
	deadline := time.Now().Add(max)
	m.left.note(ports)
	m.handshakes.allWell() // so that Drain knows how it has been since
	if err := sleep(ctx, settle, deadline); err != nil {
		return Left{}, err
	}
	left, err := wait(ctx, &m.queues, ports, func(r *reading[queue]) Left {
		var left Left
		for _, port := range ports {
			left.HalfOpen += r.found[port].halfOpen
			left.Unaccepted += r.found[port].unaccepted
		}
		return left
	}, 2, queuesPace, deadline)
	return left, say(ctx, "quiesce", ports, err)
}
