package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// front accepts connections and leads each to who speaks its protocol, which
// its first bytes tell. HTTP, in TLS or not, is http.Server's.
type front struct {
	server    *server
	tls       *tls.Config
	listeners []net.Listener
	accepting sync.WaitGroup
	http      handover

	mu       sync.Mutex
	accepted int                // by all listeners
	fresh    map[*conn]struct{} // those that have asked for nothing yet
	closing  bool
	waiting  sync.WaitGroup // for fresh to be empty, once closing
}

// silence is how long a connection may say nothing once the server is being
// shut down. It is what http.Server allows.
const silence = 5 * time.Second

func (f *front) open(s *server, config *tls.Config) {
	f.server, f.tls = s, config
	f.fresh = map[*conn]struct{}{}
	f.http = handover{conns: make(chan net.Conn), closed: make(chan struct{})}
	s.http.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			f.asked(plain(c))
		}
	}
	go s.http.Serve(&f.http)
}

// serve accepts from l until close.
func (f *front) serve(l net.Listener) {
	f.listeners = append(f.listeners, l)
	f.accepting.Go(func() {
		for {
			nc, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // no file descriptor is left, or the like
				time.Sleep(5 * time.Millisecond)
				continue
			}
			go f.greet(f.arrived(nc))
		}
	})
}

// close stops accepting.
func (f *front) close() {
	for _, l := range f.listeners {
		l.Close()
	}
	f.accepting.Wait()
}

// await returns when each connection that was accepted has asked for something
// or was silent for too long. (http.Server.Shutdown closes a connection whose
// first request comes after it began.)
func (f *front) await() {
	f.mu.Lock()
	f.closing = true
	for c := range f.fresh {
		f.waiting.Add(1)
		c.SetReadDeadline(time.Now().Add(silence))
	}
	f.mu.Unlock()
	f.waiting.Wait()
}

// asked says that c, which may be nil, is not fresh any more.
func (f *front) asked(c *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.fresh[c]; !ok {
		return
	}
	delete(f.fresh, c)
	if f.closing {
		c.SetReadDeadline(time.Time{})
		f.waiting.Done()
	}
}

// doomed is how many connections there are to one that gets reset.
const doomed = 50

// arrived counts a connection. Of a server that resets, every fiftieth is
// doomed: it is reset at its first request. (One at once could overtake the
// client's connect(2), which then fails without a chance to read why.)
func (f *front) arrived(nc net.Conn) *conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepted++
	c := &conn{Conn: nc, doomed: f.server.mode.resets && f.accepted%doomed == 0}
	f.fresh[c] = struct{}{}
	return c
}

// greet waits for the first bytes of c, and keeps nobody else waiting.
func (f *front) greet(c *conn) {
	protocol, err := c.sniff()
	switch {
	case err != nil:
		c.Close()
		f.asked(c)
	case protocol == rawEcho:
		f.server.hijacked.Add(1)
		defer f.server.hijacked.Done()
		f.asked(c)
		f.server.echo(c)
	case protocol == inTLS:
		f.http.give(tls.Server(c, f.tls))
	default:
		f.http.give(c)
	}
}

// protocol is what a connection speaks.
type protocol int

const (
	plainHTTP protocol = iota
	inTLS
	rawEcho
)

// conn is a connection whose first bytes were read before it was known whom
// they are for.
type conn struct {
	net.Conn
	first  []byte
	doomed bool
}

// plain returns the connection that c is, or that carries it.
func plain(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	p, _ := c.(*conn)
	return p
}

// sniff reads until it is clear what the client speaks.
func (c *conn) sniff() (protocol, error) {
	const echo = "echo "
	b := make([]byte, 0, 512)
	for {
		n, err := c.Conn.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		c.first = b
		switch {
		case n == 0 && err != nil:
			return 0, err
		case len(b) == 0 || len(b) < len(echo) && bytes.HasPrefix([]byte(echo), b):
			continue
		case b[0] == 0x16: // a handshake record
			return inTLS, nil
		case bytes.HasPrefix(b, []byte(echo)):
			return rawEcho, nil
		default:
			return plainHTTP, nil
		}
	}
}

// Read reads what sniff did first.
func (c *conn) Read(b []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.first)
	c.first = c.first[n:]
	return n, nil
}

// CloseWrite is what http.Server calls where a close would be a reset.
func (c *conn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// handover is the listener that http.Server accepts from.
type handover struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// give hands c over, or closes it where http.Server takes no more.
func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		c.Close()
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }
