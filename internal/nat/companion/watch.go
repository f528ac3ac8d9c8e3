package companion

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// quiet is the least time between two calls of changed: a firewall that is
// loaded in a hundred transactions asks for one repair at once and one when it
// is done.
const quiet = 20 * time.Millisecond

// events is the subscription to the changes of nftables.
type events struct {
	nl     *netlink.Conn
	port   uint32 // of the socket that writes our table
	closed atomic.Bool
}

func (e *events) close() error {
	e.closed.Store(true)
	return e.nl.Close()
}

func subscribe(port uint32) (*events, error) {
	nl, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("open a netfilter netlink socket: %w", err)
	}
	if err := nl.JoinGroup(unix.NFNLGRP_NFTABLES); err != nil {
		nl.Close()
		return nil, fmt.Errorf("subscribe to nftables events: %w", err)
	}
	return &events{nl: nl, port: port}, nil
}

// Watch calls changed when a transaction that is not this Table's has touched our
// table, or the nat tables of iptables-nft where redirects live: on any hook
// chain or chain of ours. iptables-legacy tells nobody. What happened since Open
// is not missed, and when events were lost changed is called as well. It is a
// hint, given once for many changes: whoever gets it, and cannot account for what
// was committed, applies all rules again. The kernel does name the process that
// committed, by its number in the initial pid namespace; which is of no use in a
// container, nor once a short-lived one like iptables is gone.
//
// changed is called from Watch itself and shall not block. Watch returns nil
// once ctx ends or the Table is closed, and may then be called again; one runs
// at a time.
func (t *Table) Watch(ctx context.Context, changed func()) error {
	return t.events.watch(ctx, changed)
}

func (e *events) watch(ctx context.Context, changed func()) error {
	defer cutOff(ctx, e.nl)()
	var (
		touched bool      // by the transaction that is being read
		pending bool      // changed is due at next
		next    time.Time // not before
	)
	for {
		var wake time.Time
		if pending {
			wake = next
		}
		err := e.nl.SetReadDeadline(wake)
		if ctx.Err() != nil || e.closed.Load() { // asked after it: cutOff may just have set an earlier one
			return nil
		}
		var messages []netlink.Message
		if err == nil {
			messages, err = e.nl.Receive()
		}
		switch {
		case err == nil:
		case e.closed.Load():
			return nil
		case errors.Is(err, unix.ENOBUFS):
			// Events were lost, perhaps ours; and until the queue has been
			// empty once the kernel drops more, without another error.
			drain(e.nl, func([]byte) {})
			touched, pending = false, true
		case errors.Is(err, os.ErrDeadlineExceeded):
		default:
			return fmt.Errorf("receive nftables events: %w", err)
		}
		for _, m := range messages {
			switch ev := decodeEvent(m); {
			case ev.end:
				pending = pending || touched
				touched = false
			case ev.relevant && ev.port != e.port:
				touched = true
			}
		}
		if now := time.Now(); pending && !now.Before(next) {
			pending, next = false, now.Add(quiet)
			changed()
		}
	}
}
