package load

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// The frames that servers send and get here (RFC 6455, 5.2): messages are
// short, and a frame each.
const (
	opBinary = 2
	opClose  = 8
)

func framed(op byte, payload []byte) []byte {
	b := []byte{0x80 | op, byte(len(payload))}
	if len(payload) > 125 {
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	}
	return append(b, payload...)
}

// frame reads one of a client, whose payload is masked.
func frame(in *bufio.Reader) (op byte, payload []byte) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		return 0, nil
	}
	n := int(head[1] & 0x7f)
	if n == 126 {
		var long uint16
		binary.Read(in, binary.BigEndian, &long)
		n = int(long)
	}
	b := make([]byte, 4+n)
	io.ReadFull(in, b)
	for i := range n {
		b[4+i] ^= b[i%4]
	}
	return head[0] & 0x0f, b[4:]
}

// accepted agrees to a WebSocket.
func accepted(c *net.TCPConn, in *bufio.Reader) {
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nVersion: v1\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
}

func TestWebSocketClasses(t *testing.T) {
	config := Config{WebSocket: 1, Requests: 1, SlowConnect: -1}
	pausing := config
	pausing.Pause = idling
	// after answers the upgrade, gets one message, and then does what it says.
	after := func(do func(c *net.TCPConn, in *bufio.Reader, message []byte)) func(c *net.TCPConn, in *bufio.Reader, n int) {
		return func(c *net.TCPConn, in *bufio.Reader, n int) {
			accepted(c, in)
			_, message := frame(in)
			do(c, in, message)
		}
	}
	// closing has it answered, and does it with the client's Close.
	closing := func(do func(c *net.TCPConn, in *bufio.Reader, payload []byte)) func(c *net.TCPConn, in *bufio.Reader, n int) {
		return after(func(c *net.TCPConn, in *bufio.Reader, message []byte) {
			c.Write(framed(opBinary, message))
			_, payload := frame(in)
			do(c, in, payload)
		})
	}
	for _, c := range []fault{
		{"reset at once", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1)
			rst(c)
		}, trouble{ResetBefore, Wait, 1}},
		{"close at once", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
		}, trouble{EarlyEnd, Wait, 1}},
		{"close in the upgrade", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nUpgr")
		}, trouble{EarlyEnd, Response, 1}},
		{"no answer", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			io.Copy(io.Discard, in)
		}, trouble{TimedOut, Wait, 1}},
		{"an error status", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			fmt.Fprint(c, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
		}, trouble{WrongBytes, Response, 1}},
		{"an upgrade to something else", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			request(in)
			fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		}, trouble{WrongBytes, Response, 1}},
		{"close without Close", config, after(func(c *net.TCPConn, in *bufio.Reader, message []byte) {}), trouble{EarlyEnd, Wait, 2}},
		{"Close instead of the message", config, after(func(c *net.TCPConn, in *bufio.Reader, message []byte) {
			c.Write(framed(opClose, []byte{1001 >> 8, 1001 & 0xff}))
			frame(in)
		}), trouble{EarlyEnd, Wait, 2}},
		{"reset instead of the message", config, after(func(c *net.TCPConn, in *bufio.Reader, message []byte) {
			rst(c)
		}), trouble{ResetBefore, Wait, 2}},
		{"reset in the message", config, after(func(c *net.TCPConn, in *bufio.Reader, message []byte) {
			c.Write(framed(opBinary, append(message, 0))[:len(message)])
			rst(c)
		}), trouble{ResetAfter, Response, 2}},
		{"close in the message", config, after(func(c *net.TCPConn, in *bufio.Reader, message []byte) {
			c.Write(framed(opBinary, append(message, 0))[:len(message)])
		}), trouble{EarlyEnd, Response, 2}},
		{"no message", config, after(func(c *net.TCPConn, in *bufio.Reader, message []byte) {
			io.Copy(io.Discard, in)
		}), trouble{TimedOut, Wait, 2}},
		{"half a message", config, after(func(c *net.TCPConn, in *bufio.Reader, message []byte) {
			c.Write(framed(opBinary, append(message, 0))[:len(message)])
			io.Copy(io.Discard, in)
		}), trouble{TimedOut, Response, 2}},
		{"another message", config, after(func(c *net.TCPConn, in *bufio.Reader, message []byte) {
			message[len(message)/2]++
			c.Write(framed(opBinary, message))
			io.Copy(io.Discard, in)
		}), trouble{WrongBytes, Response, 2}},
		{"no frame", config, after(func(c *net.TCPConn, in *bufio.Reader, message []byte) {
			fmt.Fprint(c, "what?\r\n")
			io.Copy(io.Discard, in)
		}), trouble{WrongBytes, Response, 2}},
		{"Close not answered", config, closing(func(c *net.TCPConn, in *bufio.Reader, payload []byte) {}), trouble{EarlyEnd, Close, 2}},
		{"Close not answered in time", config, closing(func(c *net.TCPConn, in *bufio.Reader, payload []byte) {
			io.Copy(io.Discard, in)
		}), trouble{TimedOut, Close, 2}},
		{"reset after Close", config, closing(func(c *net.TCPConn, in *bufio.Reader, payload []byte) {
			c.Write(framed(opClose, payload))
			rst(c)
		}), trouble{ResetAfter, Close, 2}},
		{"no close after Close", config, closing(func(c *net.TCPConn, in *bufio.Reader, payload []byte) {
			c.Write(framed(opClose, payload))
			io.Copy(io.Discard, in)
		}), trouble{TimedOut, Close, 2}},
		{"close without Close while idle", pausing, func(c *net.TCPConn, in *bufio.Reader, n int) {
			accepted(c, in)
		}, trouble{EarlyEnd, Idle, 1}},
		{"reset while idle", pausing, func(c *net.TCPConn, in *bufio.Reader, n int) {
			accepted(c, in)
			rst(c)
		}, trouble{ResetAfter, Idle, 1}},
		{"Close for an error while idle", pausing, func(c *net.TCPConn, in *bufio.Reader, n int) {
			accepted(c, in)
			c.Write(framed(opClose, []byte{1011 >> 8, 1011 & 0xff}))
			frame(in)
		}, trouble{WrongBytes, Idle, 1}},
		{"a message too many", pausing, func(c *net.TCPConn, in *bufio.Reader, n int) {
			accepted(c, in)
			c.Write(framed(opBinary, []byte("hello")))
			io.Copy(io.Discard, in)
		}, trouble{WrongBytes, Idle, 1}},
	} {
		t.Run(c.name, c.run)
	}
}
