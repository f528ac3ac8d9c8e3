package switcheroo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/switcheroo/switcheroo/internal/drain"
	"github.com/switcheroo/switcheroo/internal/nat/companion"
	"github.com/switcheroo/switcheroo/internal/nat/single"
)

// Handover is this process's place in the line of processes that serve one
// service, one after the other. Its methods may be called from several
// goroutines.
type Handover struct {
	settings
	listener net.Listener
	port     int
	passed   bool // the listener was handed to this process: no rules

	rules    *single.Rules
	table    *companion.Table // nil without the privilege
	monitor  *drain.Monitor
	lockPath string
	start    uint64 // of this process
	reserved *reservation

	ctx     context.Context // of all that goes on in the background
	cancel  context.CancelFunc
	unwatch func() bool // of the context given to Listen
	keeping sync.WaitGroup

	settled, done         chan struct{}
	settleOnce, doneOnce  sync.Once
	mu                    sync.Mutex
	id                    string // of our generation, once there is one
	mine                  single.Generation
	leaving, closed, busy bool
}

// Listener returns what to accept connections from; nil with PortOnly. It is
// open until the caller closes it, or the Handover.
func (h *Handover) Listener() net.Listener { return h.listener }

// Port returns the private port.
func (h *Handover) Port() int { return h.port }

// Settled is closed once every older process has been told to end, or there was
// none; or when this one ends itself.
func (h *Handover) Settled() <-chan struct{} { return h.settled }

// Done is closed when this process should shut down: a newer one has taken over
// and this one's connections have ended, or the context given to Listen has.
func (h *Handover) Done() <-chan struct{} { return h.done }

func (h *Handover) settle()    { h.settleOnce.Do(func() { close(h.settled) }) }
func (h *Handover) closeDone() { h.doneOnce.Do(func() { close(h.done) }) }

// locked calls f with the service's lock held, and with what the rules are then.
func (h *Handover) locked(ctx context.Context, f func(single.State) error) error {
	l, err := acquire(ctx, h.lockPath)
	if err != nil {
		return err
	}
	defer l.Release()
	st, err := h.rules.Read(ctx)
	if err != nil {
		return err
	}
	return f(st)
}

// Ready probes this process, and then leads new connections to it. It returns
// once they come here. The rest goes on in the background: the older process
// is kept for Standby, drained, and told to end with SIGTERM; if this one dies
// first, the older one takes the traffic back.
//
// After an error the older process has the traffic, as before, and Ready may be
// called again.
func (h *Handover) Ready(ctx context.Context) error {
	if err := h.ready(ctx); err != nil {
		return fmt.Errorf("switcheroo: %w", err)
	}
	return nil
}

func (h *Handover) ready(ctx context.Context) error {
	switch {
	case h.passed:
		h.settle()
		return notifyReady()
	case !h.take(&h.busy):
		return errors.New("ready already")
	case h.isLeaving():
		return errors.New("withdrawn already")
	}
	if err := h.switchOver(ctx); err != nil {
		h.mu.Lock()
		h.busy = false
		h.mu.Unlock()
		return err
	}
	h.keeping.Add(1)
	go func() {
		defer h.keeping.Done()
		newKeeper(h).run(h.ctx)
	}()
	if err := notifyReady(); err != nil {
		h.log.Warn("new connections come here, but the service manager was not told", "error", err)
	}
	return nil
}

// take sets a flag, and reports whether it was not set.
func (h *Handover) take(flag *bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	free := !*flag
	*flag = true
	return free
}

// isLeaving reports whether Withdraw, or Close, was called.
func (h *Handover) isLeaving() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.leaving
}

// switchOver moves the traffic here.
func (h *Handover) switchOver(ctx context.Context) error {
	listeners, err := ready(ctx, h.settings, uint16(h.port))
	if err != nil {
		return err
	}
	g := single.Generation{PID: os.Getpid(), Start: h.start, Port: uint16(h.port), Scope: h.scope}
	if g.Targets, err = targets(h.endpoints, g.Port, h.scope, listeners, h.rules.Families()); err != nil {
		return err
	}
	release, err := h.lockEndpoints(ctx)
	if err != nil {
		return err
	}
	defer release()
	return h.locked(ctx, func(st single.State) error {
		if h.isLeaving() { // Withdraw found nothing to do yet
			return errors.New("withdrawn meanwhile")
		}
		if err := allSeen(ctx, st); err != nil { // again: it may have come meanwhile
			return err
		}
		stale, err := h.mayTake(ctx, st, g)
		if err != nil {
			return err
		}
		keep := h.originals(ctx, st)
		// The first connection that comes here must have its timeouts already.
		ports := append(st.Ports(), g.Port)
		for _, o := range keep {
			ports = append(ports, o.Port)
		}
		h.applyTable(ctx, ports)
		began := time.Now()
		installed, err := h.rules.Install(ctx, st, g, keep, stale)
		if err != nil {
			h.applyTable(ctx, st.Ports())
			return fmt.Errorf("the traffic stays where it was: %w", err)
		}
		h.remember(installed.ID)
		h.mu.Lock()
		h.id, h.mine = installed.ID, installed
		h.mu.Unlock()
		attrs := []any{"service", h.name, "port", h.port, "took", time.Since(began).Round(time.Millisecond)}
		if old, found := st.Find(st.Current); found {
			attrs = append(attrs, "from", old.PID)
		}
		h.log.Info("new connections come here", attrs...)
		return nil
	})
}

// applyTable gives connections to the ports our conntrack timeouts. The caller
// holds the lock. Without it a switch is still whole, but for rare cases.
func (h *Handover) applyTable(ctx context.Context, ports []uint16) {
	if h.table == nil {
		return
	}
	var err error
	if len(ports) == 0 {
		err = h.table.Remove(ctx)
	} else {
		_, err = h.table.Apply(ctx, ports, nil)
	}
	if err != nil {
		h.log.Warn("conntrack timeouts not set", "error", err)
	}
}

// mayTake reports why g may not have what it wants: another service has it, or
// somebody would be left out. It returns claims of services whose process is
// gone.
func (h *Handover) mayTake(ctx context.Context, st single.State, g single.Generation) (stale []single.Claim, err error) {
	for _, c := range st.Claims(g.Targets, g.Scope) {
		if c.Owner == "" {
			return nil, fmt.Errorf("endpoint %v belongs to a service of switcherood on this host", c.Endpoint)
		}
		if !gone(ctx, c) {
			return nil, fmt.Errorf("endpoint %v belongs to service %q, process %d", c.Endpoint, c.Owner, c.PID)
		}
		if !slices.ContainsFunc(stale, func(s single.Claim) bool { return s.Endpoint == c.Endpoint && s.PID == c.PID }) {
			h.log.Warn("taking an endpoint from a service whose process is gone", "endpoint", c.Endpoint.String(), "service", c.Owner, "pid", c.PID)
		}
		stale = append(stale, c)
	}
	return stale, h.leavesNobodyOut(st, g)
}

// gone reports whether nobody has the claim any more.
func gone(ctx context.Context, c single.Claim) bool {
	if c.Start == 0 {
		_, err := identify(ctx, single.Original{PID: c.PID, Port: c.Port})
		return errors.Is(err, errGone)
	}
	if alive, err := isAlive(c.PID, c.Start); err != nil || alive {
		return false
	}
	hidden, err := heldOutOfSight(ctx, c.Port)
	return err == nil && !hidden
}

// leavesNobodyOut reports what the current process serves and g would not.
func (h *Handover) leavesNobodyOut(st single.State, g single.Generation) error {
	current, _ := st.Find(st.Current)
	if isGone(current) {
		return nil
	}
	for _, old := range current.Targets {
		for _, t := range g.Targets {
			if old.Endpoint != t.Endpoint {
				continue
			}
			if lost := old.Serves() &^ t.Serves() & h.rules.Families(); lost != 0 {
				return fmt.Errorf("process %d serves endpoint %v over %v too, and this one does not", current.PID, old.Endpoint, lost)
			}
		}
	}
	return nil
}

// Drain waits until the connections of this process have ended. New ones keep
// coming until Withdraw, or a newer process, leads them elsewhere. When ctx ends,
// the error is ctx's.
func (h *Handover) Drain(ctx context.Context) error {
	ports := []uint16{uint16(h.port)}
	if _, err := h.monitor.Quiesce(ctx, ports, quiesceAtLeast); err != nil {
		return err
	}
	_, err := h.monitor.Drain(ctx, ports, time.Time{})
	return err
}

// Withdraw ends this process's claim to the traffic: an older process that still
// lives gets it back; else clients are refused from now on. It does nothing when
// a newer process has the traffic. Connections that are open stay.
func (h *Handover) Withdraw(ctx context.Context) error {
	h.mu.Lock()
	h.leaving = true
	began := h.busy
	h.mu.Unlock()
	if h.passed || !began {
		return nil
	}
	err := h.locked(ctx, func(st single.State) error {
		h.mu.Lock()
		id := h.id // only now: Ready may have been under way
		h.mu.Unlock()
		if id == "" {
			return nil
		}
		if st.Current == id {
			return h.giveUp(ctx, st, id)
		}
		switch me, found := st.Find(id); {
		case found && !me.Told:
			// So that nobody goes back to this one, or tells it what it knows.
			return errors.Join(h.rules.Tell(ctx, st, id), h.rules.Signalled(ctx, st, id))
		case st.Current != "":
			h.closeDone() // a newer one has told us to end: there is nothing to wait for
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("switcheroo: withdraw: %w", err)
	}
	return nil
}

// giveUp leads the traffic from us to the best older process, or nowhere.
func (h *Handover) giveUp(ctx context.Context, st single.State, id string) error {
	if best, found := h.successor(st, id); found {
		if err := h.rules.Lead(ctx, st, best.ID); err != nil {
			return err
		}
		h.remember(best.ID)
		h.log.Info("new connections go back to the older process", "service", h.name, "pid", best.PID)
		after, err := h.rules.Read(ctx)
		if err != nil {
			return err
		}
		return h.rules.Drop(ctx, after, id)
	}
	h.remember(nobody)
	if err := h.rules.Leave(ctx, st); err != nil {
		return err
	}
	h.log.Info("new connections are refused", "service", h.name)
	return nil
}

// closeWait bounds what Close does in the kernel.
const closeWait = 30 * time.Second

// Close withdraws, closes the listener and ends what goes on in the background.
// What is left of the connections is the process's own affair: see Drain.
func (h *Handover) Close() error {
	if !h.take(&h.closed) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	err := h.Withdraw(ctx)
	h.unwatch()
	h.cancel()
	h.keeping.Wait()
	h.settle()
	h.closeDone()
	if h.listener != nil {
		if cerr := h.listener.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
			err = errors.Join(err, cerr)
		}
	}
	if h.passed {
		return err
	}
	// What a farewell was removing when it was cut off, and the table, unless
	// others still need theirs.
	h.locked(ctx, func(st single.State) error {
		var gone []string
		for _, g := range st.Generations {
			if g.ID != st.Current && g.PID != 0 && isGone(g) {
				gone = append(gone, g.ID)
			}
		}
		if len(gone) > 0 {
			if err := h.rules.Drop(ctx, st, gone...); err != nil {
				return err
			}
			var err error
			if st, err = h.rules.Read(ctx); err != nil {
				return err
			}
		}
		h.applyTable(ctx, st.Ports())
		return nil
	})
	if h.table != nil {
		err = errors.Join(err, h.table.Close())
	}
	return errors.Join(err, h.reserved.release())
}
