package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

// server answers on any number of listeners.
type server struct {
	mode     mode
	started  time.Time
	wellFor  time.Duration // before it is unhealthy
	http     http.Server
	serving  sync.WaitGroup
	hijacked sync.WaitGroup // connections that http.Server.Shutdown does not know
	accepted atomic.Int64
	idle     []net.Listener // kept open, never accepted from
}

type connKey struct{}

func newServer(m mode, version string) *server {
	s := &server{mode: m, started: time.Now()}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /version", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, version) })
	routes.HandleFunc("GET /healthz", s.health)
	routes.HandleFunc("GET /stream", s.stream)
	routes.HandleFunc("GET /echo", s.echo)
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(doomedConn); ok {
			if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
				reset(c.Conn)
			}
			return
		}
		w.Header().Set(wire.VersionHeader, version)
		routes.ServeHTTP(w, r)
	})
	s.http.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	return s
}

func (s *server) serve(l net.Listener) { s.serving.Go(func() { s.http.Serve(l) }) }

// shutdown stops accepting and waits for the requests under way; systemd's
// TimeoutStopSec= has the last word.
func (s *server) shutdown() error {
	err := s.http.Shutdown(context.Background())
	s.serving.Wait()
	s.hijacked.Wait()
	return err
}

func (s *server) health(w http.ResponseWriter, r *http.Request) {
	if s.mode.unhealthy && time.Since(s.started) >= s.wellFor {
		http.Error(w, "unhealthy, as told", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "healthy")
}

// stream sends the pattern of package wire, for ?seconds=, at a steady rate.
func (s *server) stream(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.ParseFloat(r.FormValue("seconds"), 64)
	if err != nil || !(seconds >= 0 && seconds <= 3600) {
		http.Error(w, "seconds must be a number from 0 to 3600", http.StatusBadRequest)
		return
	}
	length := wire.StreamLength(time.Duration(seconds * float64(time.Second)))
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	tick := time.NewTicker(wire.Interval)
	defer tick.Stop()
	chunk := make([]byte, wire.Chunk)
	for offset := int64(0); offset < length; offset += wire.Chunk {
		wire.Fill(chunk, offset)
		if _, err := w.Write(chunk); err != nil {
			return // the client is gone
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// echo makes the connection a raw TCP echo, until the client closes it.
func (s *server) echo(w http.ResponseWriter, r *http.Request) {
	s.hijacked.Add(1)
	defer s.hijacked.Done()
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "echo")
	w.WriteHeader(http.StatusSwitchingProtocols)
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	if err := buffered.Flush(); err != nil {
		return
	}
	io.Copy(c, buffered)
}

// reset says that it does so of its own will, and resets the connection.
func reset(c net.Conn) error {
	_, err := c.Write([]byte{wire.Reset})
	return errors.Join(err, c.(*net.TCPConn).SetLinger(0), c.Close())
}
