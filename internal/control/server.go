package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/switcheroo/switcheroo/internal/controller"
)

// How much a client may ask, and how long it may take to. docs/api.md has the
// same numbers.
const (
	maxHeader     = 8 << 10
	maxBody       = 1 << 20
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	idleTimeout   = 30 * time.Second
	writeTimeout  = 10 * time.Second // of each write
	quickTimeout  = 10 * time.Second // of what waits for nothing
	scrapeTimeout = 2 * time.Second  // of each thing that a scrape looks up

	userConns, allConns = 128, 512 // connections
	userQuick, allQuick = 16, 64   // calls at once
	userLong, allLong   = 32, 128  // of those that wait, event readers among them

	stopTimeout = 2 * time.Second // for calls under way when the daemon stops
)

// Options are the parts that a Server works with. All are required.
type Options struct {
	World   World
	Feed    *controller.Feed
	Units   Units
	Sockets Sockets
	Gate    Gate
	Doctor  Doctor
	Journal Journal
	Metrics *Metrics
	Log     *slog.Logger
	// Version and Backend are told to who asks.
	Version, Backend string
}

// Server answers on the control socket.
type Server struct {
	Options
	began       time.Time
	conns       *gate
	quick, long *gate
	credentials *gate // of connections to the socket for them
	refusals    refusals
	exposition  http.Handler
}

// New returns a Server that Run sets to work.
func New(o Options) *Server {
	s := &Server{
		Options: o,
		began:   time.Now(),
		conns:   newGate(userConns, allConns),
		quick:   newGate(userQuick, allQuick),
		long:    newGate(userLong, allLong),

		credentials: newGate(userConns, allConns),
	}
	o.Metrics.registry.MustRegister(scrape{s})
	s.exposition = o.Metrics.handler(o.Log)
	return s
}

// peerKey is under which a request's context has its *conn.
type peerKey struct{}

// Run answers on l until ctx ends, and closes l. Calls that wait end then.
func (s *Server) Run(ctx context.Context, l *net.UnixListener) error {
	h := &http.Server{
		Handler:           s.mux(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, c)
		},
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	relief := newRelief()
	defer relief.stop()
	return run(ctx, h, &listener{UnixListener: l, gate: s.conns, relief: relief, full: tooMany})
}

// run has h answer on l until ctx ends.
func run(ctx context.Context, h *http.Server, l net.Listener) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if h.Shutdown(limited) != nil {
			h.Close()
		}
	})
	err := h.Serve(l)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", l.Addr(), err)
}
