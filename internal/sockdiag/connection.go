package sockdiag

import "context"

// Sockets returns the connections in the given states whose local port is one of
// ports, in no order. A request that waits in SYN_RECV counts as a connection.
func Sockets(ctx context.Context, states States, ports ...uint16) ([]Socket, error) {
	var all []Socket
	err := each(ctx, states, ports, func() func(Socket) {
		all = all[:0]
		return func(s Socket) { all = append(all, s) }
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// HalfOpen counts, by local port, the handshakes under way. Those answered with
// a SYN cookie leave no trace in the kernel and are not among them.
func HalfOpen(ctx context.Context, ports ...uint16) (map[uint16]int, error) {
	return count(ctx, Set(SynRecv), ports, func(Socket) bool { return true })
}

// Live counts, by local port, the sockets of which [Socket.Live] holds: one
// dump a family, whatever the number of ports. A port without any is absent.
func Live(ctx context.Context, ports ...uint16) (map[uint16]int, error) {
	return count(ctx, live, ports, Socket.Live)
}

func count(ctx context.Context, states States, ports []uint16, counts func(Socket) bool) (map[uint16]int, error) {
	var n map[uint16]int
	err := each(ctx, states, ports, func() func(Socket) {
		n = make(map[uint16]int, len(ports))
		return func(s Socket) {
			if counts(s) {
				n[s.Local.Port()]++
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// each calls what begin returned for every connection. It calls begin again
// when a dump was interrupted: what was seen until then is void.
func each(ctx context.Context, states States, ports []uint16, begin func() func(Socket)) error {
	if len(ports) == 0 {
		begin()
		return nil
	}
	states &^= Set(Listen)
	f := newFilter(ports)
	return Consistently(func() error {
		visit := begin()
		return scan(ctx, states, f, func(m message) error {
			if states.Has(m.state) {
				visit(m.socket())
			}
			return nil
		})
	})
}
