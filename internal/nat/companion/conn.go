package companion

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// exchangeTimeout bounds one request and its answer. The kernel answers while
// it is being asked; only another program's long transaction makes us wait.
const exchangeTimeout = 5 * time.Second

// conn is the netlink socket that owns the table: the kernel knows an owner by
// its port id, and takes the closing of the socket for its death.
type conn struct {
	name string // of the table
	nl   *netlink.Conn
	port uint32

	committed *atomic.Uint32 // transactions
}

func dial(name string, committed *atomic.Uint32) (*conn, error) {
	nl, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("open a netfilter netlink socket: %w", err)
	}
	port, err := portID(nl)
	if err != nil {
		nl.Close()
		return nil, fmt.Errorf("read the netlink port id: %w", err)
	}
	return &conn{name: name, nl: nl, port: port, committed: committed}, nil
}

func portID(nl *netlink.Conn) (uint32, error) {
	raw, err := nl.SyscallConn()
	if err != nil {
		return 0, err
	}
	var addr unix.Sockaddr
	if ctlErr := raw.Control(func(fd uintptr) { addr, err = unix.Getsockname(int(fd)) }); ctlErr != nil {
		return 0, ctlErr
	}
	if err != nil {
		return 0, err
	}
	return addr.(*unix.SockaddrNetlink).Pid, nil
}

// bound gives the conn's next calls ctx's deadline, or exchangeTimeout if that
// is earlier. The caller calls release when they are done.
func (c *conn) bound(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(exchangeTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.nl.SetDeadline(deadline); err != nil {
		return nil, err
	}
	return cutOff(ctx, c.nl), nil
}

// cutOff ends the calls on nl when ctx does, until the caller calls release.
func cutOff(ctx context.Context, nl *netlink.Conn) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		nl.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-done // or it would cut the next call short
		}
	}
}

// request asks for what the table holds: messages of one kind, filtered by
// attrs. An object that does not exist is no error, and no message.
func (c *conn) request(kind int, flags netlink.HeaderFlags, attrs func(*netlink.AttributeEncoder)) ([]netlink.Message, error) {
	m, err := message(kind, netlink.Request|flags, attrs)
	if err != nil {
		return nil, err
	}
	answer, err := c.nl.Execute(m)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		c.answers() // whatever is left of this one
		return nil, err
	}
	return answer, nil
}

// commit sends b as one transaction: all of it is in force, or none. An empty
// one is not sent.
func (c *conn) commit(b *batch) error {
	if b.err != nil {
		return fmt.Errorf("encode %s: %w", b.what[len(b.what)-1], b.err)
	}
	if len(b.messages) == 0 {
		return nil
	}
	sent, err := c.nl.SendMessages(b.framed())
	if err != nil {
		return fmt.Errorf("send the transaction: %w", err)
	}
	what := make(map[uint32]string, len(sent)) // by sequence number
	for i, m := range sent[1 : len(sent)-1] {
		what[m.Header.Sequence] = b.what[i]
	}
	what[sent[0].Header.Sequence] = "commit"
	done := 0
	var failed error
	for _, a := range c.answers() {
		switch name, ours := what[a.sequence]; {
		case !ours: // left over from an exchange that was cut short
		case a.errno == 0:
			done++
		case failed == nil: // what follows is often its consequence
			failed = fmt.Errorf("%s: %w", name, a.errno)
		}
	}
	if failed == nil && done < len(b.what) {
		// It may be in force, but is not counted: who counts then looks.
		return fmt.Errorf("commit: the kernel confirmed %d of %d messages: %w", done, len(b.what), os.ErrDeadlineExceeded)
	}
	if failed == nil {
		c.committed.Add(1)
	}
	return failed
}

// ack is the kernel's answer to one message.
type ack struct {
	sequence uint32
	errno    unix.Errno // 0: done
}

// answers takes what is in the socket's queue. The kernel carries out a
// transaction, and queues every answer to it, before the call that sent it
// returns.
func (c *conn) answers() []ack {
	var acks []ack
	drain(c.nl, func(datagram []byte) { acks = append(acks, parseAcks(datagram)...) })
	return acks
}

// drain empties a socket's queue, without waiting.
func drain(nl *netlink.Conn, each func(datagram []byte)) {
	raw, err := nl.SyscallConn()
	if err != nil {
		return // closed
	}
	buf := make([]byte, 1<<16)
	raw.Control(func(fd uintptr) {
		for {
			n, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			switch {
			case err == nil:
				each(buf[:n])
			case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOBUFS):
			default:
				return
			}
		}
	})
}

// parseAcks returns the NLMSG_ERROR messages of one datagram.
func parseAcks(b []byte) []ack {
	const header = unix.SizeofNlMsghdr
	var acks []ack
	for len(b) >= header {
		n := int(binary.NativeEndian.Uint32(b))
		if n < header || n > len(b) {
			return acks
		}
		if binary.NativeEndian.Uint16(b[4:]) == unix.NLMSG_ERROR && n >= header+4 {
			code := int32(binary.NativeEndian.Uint32(b[header:]))
			acks = append(acks, ack{
				sequence: binary.NativeEndian.Uint32(b[8:]),
				errno:    unix.Errno(-code),
			})
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return acks
}
