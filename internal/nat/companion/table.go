package companion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Options are what Open needs to know.
type Options struct {
	Log *slog.Logger // nil: discarded
	// Name is the table's name, "" for Name. One that is Shared has no owner:
	// several processes write to it, one after the other, by an agreement of
	// their own, and it stays when they end. Such a table does not survive
	// "nft flush ruleset", and its changes by others are no repairs.
	Name   string
	Shared bool

	// refused asks for one more flag, which no kernel knows, and so gets what
	// kernels before 6.9 answer: no owner.
	refused bool
}

// Table is our nftables table, and the netlink socket that owns it. Its
// methods may be called from several goroutines.
type Table struct {
	log    *slog.Logger
	name   string
	shared bool // has no owner
	events *events

	committed atomic.Uint32 // transactions

	mu     sync.Mutex
	conn   *conn  // nil once closed
	made   int    // how many times its timeouts were
	flags  uint32 // that the table shall have: 0 once the kernel has refused others
	owner  bool   // this process owns the table
	placed layout // what the last Apply left in the kernel; zero if that is not known
}

// Open opens the sockets, both in the network namespace of the calling thread,
// and takes over a table that an earlier process left behind. It changes
// nothing else: Apply creates the table. It needs CAP_NET_ADMIN. While another
// process owns the table, the error is ErrOwned and names it.
//
// The caller closes the Table.
func Open(ctx context.Context, o Options) (*Table, error) {
	t := &Table{log: o.Log, name: cmp.Or(o.Name, Name), shared: o.Shared, flags: flagOwner | flagPersist}
	if t.shared {
		t.flags = 0
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	if o.refused {
		t.flags |= 1 << 31
	}
	var err error
	if t.conn, err = dial(t.name, &t.committed); err != nil {
		return nil, explain(err)
	}
	if t.events, err = subscribe(t.conn.port); err != nil {
		t.conn.nl.Close()
		return nil, explain(err)
	}
	if err := t.exchange(ctx, t.adopt); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// adopt owns the table if it has lost its owner: from then on nobody flushes it.
func (t *Table) adopt(c *conn) error {
	h, err := c.readHeader()
	if err != nil {
		return err
	}
	if err := h.check(c.port); err != nil {
		return err
	}
	if h.flags != flagPersist {
		return nil
	}
	b := &batch{name: t.name}
	b.table(t.flags)
	if err := c.commit(b); err != nil {
		return fmt.Errorf("take over table inet %s: %w", t.name, err)
	}
	t.owner = true
	t.log.Info("took over the nftables table", "table", t.name)
	return nil
}

// Pinned says whether this process owns the table, so that nobody else can
// change it and "nft flush ruleset" spares it. It is false until Open has taken
// a table over or Apply has made one, and always on kernels before 6.9: there
// such a flush takes the table as well, and with it the established connections
// of all redirects that nothing else keeps (iptables-legacy rules do).
func (t *Table) Pinned() (owner bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owner
}

// Commits returns how many transactions this Table has committed, modulo 2^32:
// nftables counts them, too, together with everybody else's.
func (t *Table) Commits() uint32 { return t.committed.Load() }

// Made returns how many times the timeouts were made, or were to be: connections
// that were redirected before have the host's.
func (t *Table) Made() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.made
}

// Close gives up the ownership and closes the sockets; Watch returns. The table
// stays, and keeps working; but until another process owns it, anybody can
// flush it.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil
	}
	err := errors.Join(t.conn.nl.Close(), t.events.close())
	t.conn, t.owner = nil, false
	return err
}

// schema is what this table holds besides its ports.
func (t *Table) schema() layout {
	l := schema()
	l.table = t.name
	if !t.shared {
		l = l.withHoldChains()
	}
	return l
}

// exchange runs f with the socket's deadlines set from ctx. t.mu is held
// meanwhile.
func (t *Table) exchange(ctx context.Context, f func(*conn) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return fmt.Errorf("table inet %s: %w", t.name, net.ErrClosed)
	}
	release, err := t.conn.bound(ctx)
	if err != nil {
		return fmt.Errorf("table inet %s: %w", t.name, err)
	}
	defer release()
	return explain(f(t.conn))
}

// explain says what to do about an error of which the kernel gives a number.
func explain(err error) error {
	switch {
	case errors.Is(err, ErrOwned):
		return err
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w (changing nftables needs CAP_NET_ADMIN)", err)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w (the kernel lacks a part of nftables, or may not load it: try modprobe -a %s)", err, modules)
	}
	return err
}

// modules are what the table needs; they may be built in as well.
const modules = "nf_tables nf_conntrack nft_ct nft_chain_nat nft_reject_inet nft_fib_inet nft_compat xt_NFQUEUE"
