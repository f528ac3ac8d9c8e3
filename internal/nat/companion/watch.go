package companion

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
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
	pids   bool   // the kernel's process numbers are those that we see
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
	return &events{nl: nl, port: port, pids: inInitialPIDs()}, nil
}

// Watch calls changed when another program's transaction has touched our table,
// or the nat tables of iptables-nft where redirects live: on any hook chain or
// chain of ours. iptables-legacy tells nobody. What happened since Open is not
// missed, and when events were lost changed is called as well. It is a hint,
// given once for many changes: whoever gets it applies all rules again.
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
				pending = pending || touched && !e.own(ev.pid)
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

// own says whether a transaction that another socket committed is ours. Where
// we cannot tell it is not: a needless look is better than none.
func (e *events) own(pid uint32) bool {
	return e.pids && (ownThread(pid) || ownChild(pid))
}

// inInitialPIDs: a transaction names its thread by the number that it has in
// the initial pid namespace. In a container that may be the number of a thread
// or child of ours, and another program's flush would pass for our own.
func inInitialPIDs() bool {
	const initial = "pid:[4026531836]" // PROC_PID_INIT_INO
	ns, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && ns == initial
}

// ownThread: the kernel names the thread, and another backend in this process
// has a socket of its own.
func ownThread(pid uint32) bool {
	_, err := os.Stat("/proc/self/task/" + strconv.FormatUint(uint64(pid), 10))
	return err == nil
}

// ownChild recognises our iptables: its exit takes about 16 ms after the
// commit. One that is gone already costs a needless look, no more.
func ownChild(pid uint32) bool {
	stat, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(pid), 10) + "/stat")
	if err != nil {
		return false
	}
	return parent(string(stat)) == os.Getpid()
}

// parent reads /proc/pid/stat: pid (command) state parent; the command may
// hold spaces and parentheses.
func parent(stat string) int {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(f[1])
	return ppid
}
