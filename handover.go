package switcheroo

import (
	"context"
	"net"
)

// Handover is this process's place in the line of processes that serve one
// service, one after the other. Its methods may be called from several
// goroutines.
type Handover struct {
	listener net.Listener
	port     int
	settled  chan struct{}
	done     chan struct{}
}

// Listener returns what to accept connections from; nil with PortOnly.
func (h *Handover) Listener() net.Listener { return h.listener }

// Port returns the private port.
func (h *Handover) Port() int { return h.port }

// Ready probes this process, and then leads new connections to it. It returns
// once they come here. The rest goes on in the background: the older process
// is kept for Standby, drained, and told to end with SIGTERM.
//
// After an error the older process has the traffic, as before.
func (h *Handover) Ready(ctx context.Context) error { return errTodo }

// Settled is closed once every older process has been told to end, or there was
// none; or when it has become another's task, because there is a newer one.
func (h *Handover) Settled() <-chan struct{} { return h.settled }

// Done is closed when this process should shut down: a newer one has taken over
// and this one's connections have ended, or the context given to Listen has.
func (h *Handover) Done() <-chan struct{} { return h.done }

// Withdraw ends this process's claim to the traffic: an older process that still
// lives gets it back; else clients are refused from now on. It does nothing when
// a newer process has the traffic. Connections that are open stay.
func (h *Handover) Withdraw(ctx context.Context) error { return errTodo }

// Drain waits until the connections of this process have ended. New ones keep
// coming until Withdraw, or a newer process, leads them elsewhere. When ctx ends,
// the error is ctx's.
func (h *Handover) Drain(ctx context.Context) error { return errTodo }

// Close withdraws, closes the listener and ends what goes on in the background.
func (h *Handover) Close() error { return errTodo }
