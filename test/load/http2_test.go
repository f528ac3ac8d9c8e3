package load

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
)

// h2 is the server's end of an HTTP/2 connection, as raw frames (RFC 9113, 4.1).
type h2 struct {
	c  *net.TCPConn
	in *bufio.Reader
}

// The types of frames, and a flag, that are used here.
const (
	frameData     = 0
	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4
	frameGoAway   = 7
	endStream     = 1
	endHeaders    = 4
	ack           = 1
)

func (h *h2) write(kind, flags byte, stream uint32, payload []byte) {
	b := []byte{0, byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	h.c.Write(append(binary.BigEndian.AppendUint32(b, stream), payload...))
}

func (h *h2) read() (kind, flags byte, stream uint32, err error) {
	head := make([]byte, 9)
	if _, err := io.ReadFull(h.in, head); err != nil {
		return 0, 0, 0, err
	}
	n := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
	_, err = io.CopyN(io.Discard, h.in, n)
	return head[3], head[4], binary.BigEndian.Uint32(head[5:]), err
}

// head sends ":status: 200" and "version: v1" (RFC 7541, 6.1 and 6.2.2).
func (h *h2) head(stream uint32) {
	h.write(frameHeaders, endHeaders, stream, []byte("\x88\x00\x07version\x02v1"))
}

func (h *h2) answer(stream uint32) {
	h.head(stream)
	h.write(frameData, endStream, stream, []byte("v1\n"))
}

func (h *h2) goAway(last uint32) {
	h.write(frameGoAway, 0, 0, append(binary.BigEndian.AppendUint32(nil, last), 0, 0, 0, 0))
}

func (h *h2) reset(stream, code uint32) {
	h.write(frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code))
}

// streams serves HTTP/2, and each request with handle, until that says no.
func streams(handle func(h *h2, stream uint32) bool) func(c *net.TCPConn, in *bufio.Reader, n int) {
	return func(c *net.TCPConn, in *bufio.Reader, n int) {
		h := &h2{c, in}
		if _, err := io.CopyN(io.Discard, in, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
			return
		}
		h.write(frameSettings, 0, 0, nil)
		for {
			kind, flags, stream, err := h.read()
			switch {
			case err != nil:
				return
			case kind == frameSettings && flags&ack == 0:
				h.write(frameSettings, ack, 0, nil)
			case kind == frameHeaders && !handle(h, stream):
				// What is not read would make the close a reset.
				c.CloseWrite()
				io.Copy(io.Discard, in)
				return
			}
		}
	}
}

func TestHTTP2Classes(t *testing.T) {
	config := Config{HTTP2: 1, SlowConnect: -1, Seed: 7}
	// With this seed three requests follow the first.
	under := func(end func(h *h2)) func(h *h2, id uint32) bool {
		return func(h *h2, id uint32) bool {
			switch id {
			case 1:
				h.answer(id)
			case 7:
				end(h)
				return false
			}
			return true
		}
	}
	pausing := config
	pausing.Pause = idling
	for _, c := range []fault{
		{"reset at once", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1)
			rst(c)
		}, trouble{ResetBefore, Wait, 1}},
		{"close at once", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1)
			c.CloseWrite()
			io.Copy(io.Discard, in)
		}, trouble{EarlyEnd, Wait, 1}},
		{"no HTTP/2", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1)
			fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			io.Copy(io.Discard, in)
		}, trouble{WrongBytes, Wait, 1}},
		{"no answer", config, streams(func(h *h2, id uint32) bool { return true }), trouble{TimedOut, Wait, 1}},
		{"reset before the response", config, streams(func(h *h2, id uint32) bool {
			rst(h.c)
			return false
		}), trouble{ResetBefore, Wait, 1}},
		{"reset in the response", config, streams(func(h *h2, id uint32) bool {
			h.head(id)
			rst(h.c)
			return false
		}), trouble{ResetAfter, Response, 1}},
		{"close in the response", config, streams(func(h *h2, id uint32) bool {
			h.head(id)
			return false
		}), trouble{EarlyEnd, Response, 1}},
		{"half a response", config, streams(func(h *h2, id uint32) bool {
			h.head(id)
			return true
		}), trouble{TimedOut, Response, 1}},
		{"another body", config, streams(func(h *h2, id uint32) bool {
			h.head(id)
			h.write(frameData, endStream, id, []byte("v2\n"))
			return true
		}), trouble{WrongBytes, Response, 1}},
		{"an error status", config, streams(func(h *h2, id uint32) bool {
			h.write(frameHeaders, endHeaders|endStream, id, []byte("\x8e")) // :status: 500
			return true
		}), trouble{WrongBytes, Response, 1}},
		{"a stream reset before the response", config, streams(func(h *h2, id uint32) bool {
			h.reset(id, 2) // INTERNAL_ERROR
			return true
		}), trouble{ResetBefore, Wait, 1}},
		{"a stream reset in the response", config, streams(func(h *h2, id uint32) bool {
			h.head(id)
			h.reset(id, 2)
			return true
		}), trouble{ResetAfter, Response, 1}},
		// net/http sends it again on the same connection, and says nothing.
		{"a stream refused once", config, streams(func(h *h2, id uint32) bool {
			if id == 1 {
				h.reset(id, 7) // REFUSED_STREAM
			} else {
				h.answer(id)
			}
			return true
		}), trouble{ResetBefore, Wait, 1}},
		{"reset with streams under way", config, streams(under(func(h *h2) { rst(h.c) })), trouble{ResetBefore, Wait, 2}},
		{"close with streams under way", config, streams(under(func(h *h2) {})), trouble{EarlyEnd, Wait, 2}},
		// It has begun what it then does not finish.
		{"close after GOAWAY", Config{HTTP2: 1, Requests: 2, SlowConnect: -1}, streams(func(h *h2, id uint32) bool {
			if id == 1 {
				h.answer(id)
				return true
			}
			h.goAway(id)
			return false
		}), trouble{EarlyEnd, Wait, 2}},
		{"reset while idle", pausing, streams(func(h *h2, id uint32) bool {
			h.answer(id)
			rst(h.c)
			return false
		}), trouble{ResetAfter, Idle, 1}},
	} {
		t.Run(c.name, c.run)
	}
}
