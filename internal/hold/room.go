package hold

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/internal/sockdiag"
)

// flight is a connection that was let go, and may not have come as far as the
// accept queue.
type flight struct {
	flow flow
	port uint16 // private
	left time.Time
}

const (
	// unseen is how long a SYN that was let go may take to the listener's
	// socket. Mostly it is there when the call that lets it go returns.
	unseen = 20 * time.Millisecond
	// lost is how long a handshake may take. The server has repeated its
	// SYN-ACK by then: the client is gone, or slower than others shall wait
	// for.
	lost = time.Second
	// asked bounds how many of those under way are asked about in one look.
	asked = 64
)

// landed takes out of flights those that need no more of a listener's room than
// its accept queue shows: what is established, was refused, or has failed. Those
// that were asked about, and have not landed, are asked about again last: clients
// that never answer do not hide others that have.
func landed(ctx context.Context, flights []flight, now time.Time) (left []flight, err error) {
	n := min(len(flights), asked)
	left = slices.Clone(flights[n:])
	for i, f := range flights[:n] {
		s, found, err := sockdiag.Find(ctx, netip.AddrPortFrom(f.flow.to.Addr(), f.port), f.flow.from)
		if err != nil {
			return append(left, flights[i:n]...), err
		}
		handshake := found && s.State == sockdiag.SynRecv && s.Retransmits == 0
		if handshake || !found && now.Sub(f.left) < unseen {
			left = append(left, f)
		}
	}
	return left, nil
}

// room returns how many more connections the accept queues of the listeners on
// each port could take. A port without a listener is absent: what is led there
// is refused at once.
func room(ctx context.Context, ports ...uint16) (map[uint16]int, error) {
	listeners, err := sockdiag.ListenersOn(ctx, ports...)
	if err != nil {
		return nil, err
	}
	free := map[uint16]int{}
	for _, l := range listeners {
		n := max(int(l.Backlog), 1) - int(l.Queue)
		if known, several := free[l.Addr.Port()]; several {
			n = min(n, known) // which of them gets the next one is not known
		}
		free[l.Addr.Port()] = n
	}
	return free, nil
}
