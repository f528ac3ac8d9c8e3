package switcheroo

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/switcheroo/switcheroo/internal/drain"
	"github.com/switcheroo/switcheroo/internal/nat"
	"github.com/switcheroo/switcheroo/internal/nat/companion"
	"github.com/switcheroo/switcheroo/internal/nat/single"
)

// Listen finds a free private port and listens on it. Nothing leads there before
// Ready. It tries out iptables, so that what would fail later fails now; the
// older process, if there is one, is not touched.
//
// A process that was handed a listener (LISTEN_FDS), as under the daemon, gets
// that one. Ready then tells the service manager, and no rule is touched.
//
// The context is the process's own: when it ends, Done is closed, and what goes
// on in the background ends. Signals are the caller's: a process that wants to
// end well catches SIGTERM, for instance with signal.NotifyContext. The caller
// closes the Handover.
func Listen(ctx context.Context, o Options) (*Handover, error) {
	h, err := begin(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("switcheroo: %w", err)
	}
	return h, nil
}

func begin(ctx context.Context, o Options) (*Handover, error) {
	s, err := o.settings()
	if err != nil {
		return nil, &OptionError{err}
	}
	h := newHandover(ctx, s)
	if !s.portOnly {
		l, err := passedListener(s.name)
		if err != nil {
			h.cancel()
			return nil, err
		}
		if l != nil {
			h.listener, h.port, h.passed = l, l.Addr().(*net.TCPAddr).Port, true
			s.log.Info("using the listener that was passed to this process", "service", s.name, "address", l.Addr().String())
			return h, nil
		}
	}
	if err := h.open(ctx, o); err != nil {
		h.cancel()
		return nil, err
	}
	return h, nil
}

// open finds out what this host has, and a port.
func (h *Handover) open(ctx context.Context, o Options) error {
	tools, err := o.tools(ctx)
	if err != nil {
		return err
	}
	h.rules = single.New(h.name, tools)
	if h.lockPath, err = lockPath("service-" + nat.Key(h.name)); err != nil {
		return err
	}
	if h.start, err = startOf(os.Getpid()); err != nil {
		return fmt.Errorf("read when this process began: %w", err)
	}
	st, err := h.rules.Read(ctx)
	if err != nil {
		return err
	}
	if err := allSeen(ctx, st); err != nil {
		return err
	}
	current, _ := st.Find(st.Current)
	if h.reserved, err = reserve(ctx, h.settings, int(current.Port), st.LedTo()); err != nil {
		return err
	}
	h.port, h.listener = h.reserved.port, h.reserved.listener
	h.table = openTable(ctx, h.name, h.log)
	return nil
}

// openTable opens the service's nftables table, if this process may.
func openTable(ctx context.Context, name string, log *slog.Logger) *companion.Table {
	t, err := companion.Open(ctx, companion.Options{Log: log, Name: tableName(name), Shared: true})
	if err != nil {
		log.Warn("no conntrack timeouts of our own, only sockets are looked at: "+
			"a server that resets connections, or a full accept queue, can cost some of them in a switch", "error", err)
		return nil
	}
	return t
}

func tableName(service string) string { return companion.Name + "-" + nat.Key(service) }

func newHandover(ctx context.Context, s settings) *Handover {
	h := &Handover{
		settings: s,
		monitor:  drain.New(drain.Options{Log: s.log}),
		settled:  make(chan struct{}),
		done:     make(chan struct{}),
	}
	h.ctx, h.cancel = context.WithCancel(ctx)
	h.unwatch = context.AfterFunc(ctx, h.closeDone)
	return h
}
