package switcheroo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/lock"
)

// reservation is a private port that no other process of this package takes.
type reservation struct {
	port     int
	listener net.Listener // nil with PortOnly
	lock     *lock.Lock
}

// reserve finds a free private port, beginning behind the one that is in use, as
// that which was in use last is the likeliest to be known to somebody yet. Not
// one that another service's rules lead to, even if its process is gone: its
// clients would come here.
func reserve(ctx context.Context, s settings, after int, ledTo map[int]bool) (*reservation, error) {
	n := s.portMax - s.portMin + 1
	first := 0
	if after >= s.portMin && after <= s.portMax {
		first = after - s.portMin + 1
	}
	for i := range n {
		port := s.portMin + (first+i)%n
		if ledTo[port] {
			continue
		}
		r, err := tryPort(ctx, port, s.portOnly)
		if err != nil {
			return nil, err
		}
		if r != nil {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%w from %d to %d: all %d are in use", ErrNoPort, s.portMin, s.portMax, n)
}

// tryPort returns nil if the port is taken. The lock is for those that reserve
// a port and do not bind it yet.
func tryPort(ctx context.Context, port int, only bool) (*reservation, error) {
	path, err := lockPath("port-" + strconv.Itoa(port))
	if err != nil {
		return nil, err
	}
	held, err := lock.Try(path)
	if err != nil || held == nil {
		return nil, err
	}
	l, err := listen(ctx, port)
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		held.Release()
		return nil, nil
	case err != nil:
		held.Release()
		return nil, err
	}
	r := &reservation{port: port, lock: held, listener: l}
	if only {
		l.Close()
		r.listener = nil
	}
	return r, nil
}

// listen listens on a port of every address, of both families if there are two.
// Not with Multipath TCP, which Go would offer: a client would open the further
// paths of a connection to the public port, when that may lead elsewhere.
func listen(ctx context.Context, port int) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	return lc.Listen(ctx, "tcp", ":"+strconv.Itoa(port))
}

func (r *reservation) release() error { return r.lock.Release() }
