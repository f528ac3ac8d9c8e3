package hold

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// firstNumber is that of the queue, or the first that is tried: another
	// program may have bound it. Small numbers are what people choose.
	firstNumber = 0x5357
	numbers     = 16
	// MaxWaiting is how many connections can wait, of all services together.
	// The kernel drops the SYNs of more, and their clients try again. Each
	// takes about 1 KiB of the kernel's memory.
	MaxWaiting = 32768
	// bufferLen holds what the kernel tells of as many.
	bufferLen = 32 << 20
	// messageLen holds what it tells of one.
	messageLen = 4096
	// bindTimeout bounds the exchange that binds a queue.
	bindTimeout = 5 * time.Second
)

// queue is a netfilter queue that this process has bound: until it is closed,
// packets wait there for a verdict.
type queue struct {
	nl     *netlink.Conn
	number uint16
}

// bind binds the first queue that is free, in the network namespace of the
// calling thread. It has room for most packets.
func bind(most uint32) (*queue, error) {
	nl, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{MessageBufferSize: messageLen})
	if err != nil {
		return nil, fmt.Errorf("open a netfilter netlink socket: %w", err)
	}
	q := &queue{nl: nl}
	if err := q.bind(most); err != nil {
		nl.Close()
		return nil, err
	}
	return q, nil
}

func (q *queue) bind(most uint32) error {
	if err := q.nl.SetDeadline(time.Now().Add(bindTimeout)); err != nil {
		return err
	}
	var err error
	for q.number = firstNumber; q.number < firstNumber+numbers; q.number++ {
		// One that belongs to another socket: EPERM; or EBUSY.
		if err = q.execute(bindMessage(q.number)); err == nil || !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EBUSY):
		return fmt.Errorf("bind a netfilter queue: %w (it needs CAP_NET_ADMIN, and one of the numbers %d to %d free)", err, firstNumber, firstNumber+numbers-1)
	case err != nil:
		return fmt.Errorf("bind a netfilter queue: %w (the kernel needs nfnetlink_queue: try modprobe nfnetlink_queue)", err)
	}
	if err := q.execute(settingsMessage(q.number, most)); err != nil {
		return fmt.Errorf("set up netfilter queue %d: %w", q.number, err)
	}
	if err := q.nl.SetReadBuffer(bufferLen); err != nil {
		return fmt.Errorf("set up netfilter queue %d: %w", q.number, err)
	}
	return q.nl.SetDeadline(time.Time{})
}

func (q *queue) execute(m netlink.Message, err error) error {
	if err != nil {
		return err
	}
	_, err = q.nl.Execute(m)
	return err
}

// receive hands each packet to take, which must not keep what it refers to,
// until the queue is closed: that is no error.
func (q *queue) receive(take func(packet)) error {
	for {
		var failed error
		for m, err := range q.nl.ReceiveIter() {
			if err != nil {
				failed = err
				break
			}
			p, ok, err := parsePacket(m)
			if err != nil {
				return fmt.Errorf("netfilter queue %d: %w", q.number, err)
			}
			if ok {
				take(p)
			}
		}
		switch {
		case failed == nil:
		case errors.Is(failed, unix.ENOENT): // the answer to a verdict: the packet is gone
		case errors.Is(failed, unix.ENOBUFS): // some were dropped; their clients try again
		case errors.Is(failed, net.ErrClosed), errors.Is(failed, os.ErrClosed), errors.Is(failed, unix.EBADF):
			return nil
		default:
			return fmt.Errorf("netfilter queue %d: %w", q.number, failed)
		}
	}
}

// verdictsAtOnce bounds one call.
const verdictsAtOnce = 64

// judge gives packets their verdict. One that is gone is no error.
func (q *queue) judge(v verdict, ids ...uint32) error {
	for len(ids) > 0 {
		n := min(len(ids), verdictsAtOnce)
		messages := make([]netlink.Message, n)
		for i, id := range ids[:n] {
			var err error
			if messages[i], err = verdictMessage(q.number, id, v); err != nil {
				return err
			}
		}
		if _, err := q.nl.SendMessages(messages); err != nil {
			return fmt.Errorf("netfilter queue %d: give a verdict: %w", q.number, err)
		}
		ids = ids[n:]
	}
	return nil
}

func (q *queue) close() error { return q.nl.Close() }
