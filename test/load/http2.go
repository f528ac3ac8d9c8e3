package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

// maxAbreast is how many requests an HTTP/2 client sends at once.
const maxAbreast = 4

// http2 sends requests over unencrypted HTTP/2, with prior knowledge: one, and
// then some at once and some alone. It closes the connection itself. A GOAWAY
// ends it as well, once what the server has begun is answered.
func http2(ctx context.Context, t *talk) error {
	c := &multiplexed{conn: t.conn, ended: make(chan struct{})}
	transport := c.transport()
	defer transport.CloseIdleConnections()
	for abreast := 1; t.request < t.client.Requests; abreast = 1 + t.rng.IntN(maxAbreast) {
		if t.request > 0 {
			if err := t.watch(ctx, c.ended); errors.Is(err, errIdleClose) {
				return t.gone()
			} else if err != nil {
				return err
			}
		}
		if err := t.abreast(transport, min(abreast, t.client.Requests-t.request)); err != nil {
			return err
		}
	}
	return nil
}

// abreast sends n requests at once. It returns the error of the first that
// failed; t.request and t.phase are of that then.
func (t *talk) abreast(transport *http.Transport, n int) error {
	if err := t.SetReadDeadline(time.Now().Add(t.timeout)); err != nil {
		return err
	}
	defer t.SetReadDeadline(time.Time{}) // it is being read all the time
	first := t.request + 1
	streams := make([]stream, n)
	var under sync.WaitGroup
	for i := range streams {
		s, began := &streams[i], t.begin()
		under.Go(func() {
			if s.get(transport); s.err == nil {
				t.answered(began, s.version)
			}
		})
	}
	under.Wait()
	unsent := false
	for i, s := range streams {
		switch {
		case s.err == nil:
			t.version = s.version
		case errors.Is(s.err, errOneConnection):
			unsent = true
		default:
			t.phase, t.request = s.phase, first+i
			return s.err
		}
	}
	if unsent {
		return t.gone()
	}
	return nil
}

// gone says what the end of a connection is that the server has, or will have,
// no request of.
func (t *talk) gone() error {
	t.phase = Idle
	if err := t.lost(); isReset(err) {
		return err
	}
	return errIdleClose
}

// stream is one request.
type stream struct {
	version string
	phase   Phase
	err     error
}

func (s *stream) get(transport *http.Transport) {
	s.phase = Wait
	var tries atomic.Int64
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { tries.Add(1) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://test/version", nil)
	if err != nil {
		s.err = err
		return
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		s.err = streamReset(err)
		return
	}
	defer response.Body.Close()
	s.phase, s.version = Response, response.Header.Get(wire.VersionHeader)
	switch {
	case tries.Load() > 1:
		s.phase, s.err = Wait, fmt.Errorf("%w: the server refused the stream once", syscall.ECONNRESET)
	case response.StatusCode != http.StatusOK:
		s.err = wrong("status " + response.Status)
	default:
		s.err = streamReset(checkVersion(response))
	}
}

// streamError is what net/http's own error fills in: any type that has these
// fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return fmt.Sprintf("code %d of stream %d", e.Code, e.StreamID) }

// streamReset makes a RST_STREAM of the server the reset that it is.
func streamReset(err error) error {
	var s streamError
	if errors.As(err, &s) && s.Cause != nil && s.Cause.Error() == "received from peer" {
		return fmt.Errorf("%w: %w", syscall.ECONNRESET, err)
	}
	return err
}

// errOneConnection is the error of a request that net/http would have sent on
// another connection, because this one takes no more: it was never sent, or the
// server has said that it will not begin it.
var errOneConnection = errors.New("there is one connection only")

// multiplexed is a connection that net/http reads from all the time, with the
// deadline that was set last.
type multiplexed struct {
	*conn
	once  sync.Once
	ended chan struct{} // closed when a read fails
	taken atomic.Bool
}

func (c *multiplexed) Read(b []byte) (int, error) {
	n, err := c.read(b)
	if err != nil {
		c.once.Do(func() { close(c.ended) })
	}
	return n, err
}

// Close also tells those who wait for a read to fail: net/http may close what it
// can make no sense of, and read no more.
func (c *multiplexed) Close() error {
	c.once.Do(func() { close(c.ended) })
	return c.conn.Close()
}

// transport returns a transport with this connection, and no other.
func (c *multiplexed) transport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if !c.taken.Swap(true) {
				return c, nil
			}
			// It may also be that net/http has not put the connection where it
			// keeps them yet. Then this dial is in vain.
			select {
			case <-c.ended:
				return nil, errOneConnection
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}
}
