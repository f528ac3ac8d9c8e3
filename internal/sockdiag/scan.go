package sockdiag

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// scan dumps the sockets of both families in the given states, and hands those
// that the filter matches to visit, which must not keep them.
func scan(ctx context.Context, states States, f *filter, visit func(message) error) error {
	return scanWith(ctx, 0, states, f, visit)
}

// scanWith is scan with extra attributes.
func scanWith(ctx context.Context, extra byte, states States, f *filter, visit func(message) error) error {
	req := request{
		extra:  extra,
		states: states,
		local:  netip.AddrPortFrom(netip.Addr{}, f.single()),
	}
	if err := scanAll(ctx, req, f, visit); err != nil {
		return fmt.Errorf("dump TCP sockets: %w", err)
	}
	return nil
}

// familywise is set once the kernel has refused a dump of both families.
var familywise atomic.Bool

func scanAll(ctx context.Context, req request, f *filter, visit func(message) error) error {
	if !familywise.Load() {
		msg, err := req.ofAnyFamily(netlink.Dump, f.bytecode())
		if err == nil {
			err = dump(ctx, msg, f, visit)
		}
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
		familywise.Store(true)
	}
	for _, req.family = range []byte{unix.AF_INET, unix.AF_INET6} {
		msg, err := req.message(netlink.Dump, f.bytecode())
		if err == nil {
			err = dump(ctx, msg, f, visit)
		}
		switch {
		case req.family == unix.AF_INET6 && errors.Is(err, unix.ENOENT):
			// A kernel without IPv6.
		case err != nil:
			return err
		}
	}
	return nil
}

func dump(ctx context.Context, msg netlink.Message, f *filter, visit func(message) error) error {
	return Exchange(ctx, unix.NETLINK_SOCK_DIAG, msg, func(reply netlink.Message) error {
		m, err := parseMessage(reply.Data)
		if err != nil {
			return err
		}
		if !f.match(m.localPort()) {
			return nil
		}
		return visit(m)
	})
}

// maxAttempts bounds how often an interrupted dump is taken again.
const maxAttempts = 5

// Consistently repeats the attempt, which starts from nothing each time, while the
// kernel interrupts its dump: five times at most.
func Consistently(attempt func() error) error {
	var err error
	for range maxAttempts {
		if err = attempt(); !errors.Is(err, ErrInterrupted) {
			return err
		}
	}
	return err
}
