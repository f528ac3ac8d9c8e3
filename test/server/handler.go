package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

// server answers on any number of listeners.
type server struct {
	mode     mode
	version  string
	started  time.Time
	wellFor  time.Duration // before it is unhealthy
	http     http.Server
	front    front
	hijacked sync.WaitGroup // connections that http.Server.Shutdown does not know
	idle     []net.Listener // kept open, never accepted from
}

type connKey struct{}

func newServer(m mode, version string) (*server, error) {
	s := &server{mode: m, version: version, started: time.Now()}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /version", s.answer)
	routes.HandleFunc("GET /healthz", s.health)
	routes.HandleFunc("GET /stream", s.stream)
	routes.HandleFunc("GET /echo", s.upgrade)
	routes.HandleFunc("GET /ws", s.websocket)
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := r.Context().Value(connKey{}).(*conn)
		s.front.asked(c)
		if c.doomed && r.ProtoMajor == 1 && r.TLS == nil {
			if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
				reset(c)
			}
			return
		}
		w.Header().Set(wire.VersionHeader, version)
		routes.ServeHTTP(w, r)
	})
	s.http.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, plain(c))
	}
	s.http.Protocols = new(http.Protocols)
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetHTTP2(true)
	s.http.Protocols.SetUnencryptedHTTP2(true)
	config, err := selfSigned()
	if err != nil {
		return nil, err
	}
	s.front.open(s, config)
	return s, nil
}

// shutdown stops accepting and waits for what is under way, which includes
// connections that have been accepted and are about to ask; systemd's
// TimeoutStopSec= has the last word.
func (s *server) shutdown() error {
	s.front.close()
	if s.mode.textbook {
		return s.textbookShutdown()
	}
	s.http.SetKeepAlivesEnabled(false)
	s.front.await()
	err := s.http.Shutdown(context.Background())
	s.hijacked.Wait()
	return err
}

// textbookShutdown lets http.Server do what it can in five seconds. It knows
// of no WebSockets and echoes.
func (s *server) textbookShutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.http.Shutdown(ctx)
}

// answer gives the version.
func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	if s.mode.textbook {
		time.Sleep(20*time.Millisecond + rand.N(30*time.Millisecond))
	}
	fmt.Fprintln(w, s.version)
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
