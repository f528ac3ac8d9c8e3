package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

// server is a small part of test/server, within this process.
type server struct {
	http    http.Server
	options options
	began   time.Time
	count   atomic.Int64
}

type connKey struct{}

func newServer(o options) *server {
	s := &server{options: o, began: time.Now()}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /version", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, o.version) })
	routes.HandleFunc("GET /stream", stream)
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(doomed); ok {
			if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
				c.Write([]byte{wire.Reset})
				c.Conn.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
			return
		}
		w.Header().Set(wire.VersionHeader, o.version)
		routes.ServeHTTP(w, r)
	})
	s.http.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	return s
}

func (s *server) serve(l net.Listener) {
	if !s.options.never {
		go s.http.Serve(&listener{Listener: l, server: s})
	}
}

// listener has the faults that the options ask for.
type listener struct {
	net.Listener
	server *server
}

// doomed is a connection to be reset at its first request.
type doomed struct{ net.Conn }

func (l *listener) Accept() (net.Conn, error) {
	if d := l.server.options.hang; d > 0 && time.Since(l.server.began) > d {
		select {}
	}
	c, err := l.Listener.Accept()
	if err == nil && l.server.options.resets && l.server.count.Add(1)%50 == 0 {
		return doomed{c}, nil
	}
	return c, err
}

// stream sends the pattern of package wire, for ?seconds=, at a steady rate.
func stream(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.ParseFloat(r.FormValue("seconds"), 64)
	if err != nil || !(seconds >= 0 && seconds <= 3600) {
		http.Error(w, "seconds must be a number from 0 to 3600", http.StatusBadRequest)
		return
	}
	length := wire.StreamLength(time.Duration(seconds * float64(time.Second)))
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
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
		case <-time.After(wire.Interval):
		case <-r.Context().Done():
			return
		}
	}
}
