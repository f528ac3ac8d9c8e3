package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// webSocket upgrades the connection, which is a request, and has each message
// come back before it sends the next. Then it says Close; the server answers
// that and closes the connection.
func webSocket(ctx context.Context, t *talk) error {
	began := t.begin()
	u := &upgrade{conn: t.conn}
	ws, _, err := websocket.Dial(context.Background(), "ws://test/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: u}})
	if err != nil {
		return err
	}
	u.done = true
	t.answered(began, t.version)
	r := &wsReader{messages: make(chan []byte, 1), ended: make(chan struct{})}
	go r.run(ws)
	defer func() {
		t.Close()
		<-r.ended
		ws.CloseNow()
	}()
	for range t.client.Requests {
		if err := t.watch(ctx, r.ended); errors.Is(err, errIdleClose) {
			return r.idle()
		} else if err != nil {
			return err
		}
		if len(r.messages) > 0 {
			return errUnasked
		}
		began := t.begin()
		message := make([]byte, 1+t.rng.IntN(maxChunk))
		fill(t.rng, message)
		if err := t.message(ws, r, message); err != nil {
			return err
		}
		t.answered(began, t.version)
	}
	t.phase = Close
	if err := t.SetReadDeadline(time.Now().Add(t.timeout)); err != nil {
		return err
	}
	if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		return err
	}
	<-r.ended
	return t.ended()
}

// message sends one and expects it back.
func (t *talk) message(ws *websocket.Conn, r *wsReader, message []byte) error {
	t.phase = Write
	if err := t.SetReadDeadline(time.Now().Add(t.timeout)); err != nil {
		return err
	}
	defer t.SetReadDeadline(time.Time{}) // it is being read all the time
	before := t.got()
	if err := ws.Write(context.Background(), websocket.MessageBinary, message); err != nil {
		return err
	}
	t.phase = Wait
	select {
	case got := <-r.messages:
		t.phase = Response
		if !bytes.Equal(got, message) {
			return wrong(fmt.Sprintf("a message of %d bytes came back with %d, or others", len(message), len(got)))
		}
		return nil
	case <-r.ended:
	}
	if errors.As(r.err, new(websocket.CloseError)) {
		return fmt.Errorf("%w: instead of the message, %w", io.EOF, r.err)
	}
	if t.got() > before {
		t.phase = Response
	}
	return r.err
}

// wsReader reads all the time, as a browser does: it sees a Close at once.
type wsReader struct {
	messages chan []byte
	ended    chan struct{}
	err      error // once ended
}

func (r *wsReader) run(ws *websocket.Conn) {
	defer close(r.ended)
	for {
		var b []byte
		if _, b, r.err = ws.Read(context.Background()); r.err != nil {
			return
		}
		select {
		case r.messages <- b:
		default:
			r.err = errUnasked
			return
		}
	}
}

// idle says what the end of an idle connection is: an end without Close is no
// end that the protocol knows.
func (r *wsReader) idle() error {
	switch websocket.CloseStatus(r.err) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusServiceRestart:
		return errIdleClose
	}
	return r.err
}

// upgrade is an http.RoundTripper for one request on its connection, which then
// is the body of the response.
type upgrade struct {
	*conn
	done bool // the response is what it should be
}

func (u *upgrade) RoundTrip(r *http.Request) (*http.Response, error) {
	var request bytes.Buffer
	if err := r.Write(&request); err != nil {
		return nil, err
	}
	if err := u.send(request.Bytes()); err != nil {
		return nil, err
	}
	response, err := u.response(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, wrong("status " + response.Status)
	}
	response.Body = (*upgraded)(u)
	return response, nil
}

// upgraded reads and writes what is no HTTP any more. Its reads have the
// deadline that was set last, and its owner closes the connection.
type upgraded upgrade

func (u *upgraded) Read(b []byte) (int, error) {
	switch {
	case !u.done:
		return 0, io.EOF // the library would like to see more of what is wrong
	case u.in.Buffered() > 0:
		return u.in.Read(b)
	}
	return u.read(b)
}

func (u *upgraded) Close() error { return nil }
