package sockdiag

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
)

// ErrInterrupted says that the kernel's table changed during a dump so that
// entries may be missing (NLM_F_DUMP_INTR). What was received is void.
var ErrInterrupted = errors.New("dump interrupted")

const (
	// bufferLen holds the largest message of a dump: the kernel builds them as
	// large as the reader's buffer, up to 32 KiB.
	bufferLen = 32 << 10
	// maxExchange ends what ctx has no nearer deadline for. A dump of a million
	// sockets takes one or two seconds.
	maxExchange = 15 * time.Second
)

// Exchange opens a netlink socket of the family (unix.NETLINK_SOCK_DIAG, or
// another that is dumped in the same way), sends req and hands each reply to
// visit, until the last or visit's first error. The end of ctx ends it with
// ctx's error; after 15 s it ends by itself with os.ErrDeadlineExceeded. Errors
// of the kernel are unix.Errno inside.
func Exchange(ctx context.Context, family int, req netlink.Message, visit func(netlink.Message) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	conn, err := netlink.Dial(family, &netlink.Config{MessageBufferSize: bufferLen})
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(maxExchange)); err != nil {
		return err
	}
	// A deadline in the past wakes a blocked receive.
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	err = exchange(conn, req, visit)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func exchange(conn *netlink.Conn, req netlink.Message, visit func(netlink.Message) error) error {
	req, err := conn.Send(req)
	if err != nil {
		return err
	}
	for m, err := range conn.ReceiveIter() {
		if err != nil {
			return err
		}
		if err := netlink.Validate(req, []netlink.Message{m}); err != nil {
			return err
		}
		if m.Header.Flags&netlink.DumpInterrupted != 0 {
			return ErrInterrupted
		}
		if err := visit(m); err != nil {
			return err
		}
	}
	return nil
}
