package load

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// serverTLS has a certificate that nobody knows, and speaks HTTP/1.1.
var serverTLS = sync.OnceValue(func() *tls.Config {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates, NextProtos: []string{"http/1.1"}}
})

// within serves TLS, and handle what is in it.
func within(handle func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader)) func(c *net.TCPConn, in *bufio.Reader, n int) {
	return func(c *net.TCPConn, _ *bufio.Reader, n int) {
		s := tls.Server(c, serverTLS())
		handle(c, s, bufio.NewReader(s))
	}
}

func TestTLSClasses(t *testing.T) {
	config := Config{TLS: 1, Requests: 2, SlowConnect: -1}
	pausing := config
	pausing.Pause = idling
	answered := func(s *tls.Conn, in *bufio.Reader) {
		request(in)
		respond(s, "v1\n")
	}
	for _, c := range []fault{
		{"reset at the ClientHello", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1)
			rst(c)
		}, trouble{ResetBefore, Handshake, 0}},
		{"close at the ClientHello", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1)
			in.Discard(in.Buffered())
		}, trouble{EarlyEnd, Handshake, 0}},
		{"close in the handshake", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1)
			in.Discard(in.Buffered())
			c.Write([]byte{22, 3, 3, 0, 100, 2}) // a ServerHello, to be
		}, trouble{EarlyEnd, Handshake, 0}},
		{"no answer to the ClientHello", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			io.Copy(io.Discard, in)
		}, trouble{TimedOut, Handshake, 0}},
		{"no TLS", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1)
			in.Discard(in.Buffered())
			fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}, trouble{WrongBytes, Handshake, 0}},
		{"an alert", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1)
			in.Discard(in.Buffered())
			c.Write([]byte{21, 3, 3, 0, 2, 2, 40})
		}, trouble{WrongBytes, Handshake, 0}},
		{"reset before the response", config, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			request(in)
			rst(c)
		}), trouble{ResetBefore, Wait, 1}},
		{"reset in the response", config, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			request(in)
			fmt.Fprint(s, "HTTP/1.1 200 OK\r\n")
			rst(c)
		}), trouble{ResetAfter, Response, 1}},
		{"close_notify before the response", config, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			request(in)
			s.Close()
		}), trouble{EarlyEnd, Wait, 1}},
		{"close_notify in the response", config, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			request(in)
			fmt.Fprint(s, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nv")
			s.Close()
		}), trouble{EarlyEnd, Response, 1}},
		{"close in a record", config, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			request(in)
			c.Write([]byte{23, 3, 3, 0, 100, 1})
		}), trouble{EarlyEnd, Wait, 1}},
		{"a record that is none of the other end's", config, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			request(in)
			c.Write(append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...))
			io.Copy(io.Discard, in)
		}), trouble{WrongBytes, Wait, 1}},
		{"another body", config, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			request(in)
			respond(s, "v2\n")
			io.Copy(io.Discard, in)
		}), trouble{WrongBytes, Response, 1}},
		{"no answer", config, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			io.Copy(io.Discard, in)
		}), trouble{TimedOut, Wait, 1}},
		{"no close", config, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			answered(s, in)
			answered(s, in)
			io.Copy(io.Discard, in)
		}), trouble{TimedOut, Close, 2}},
		{"reset instead of a close", config, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			answered(s, in)
			answered(s, in)
			rst(c)
		}), trouble{ResetAfter, Close, 2}},
		{"reset while idle", pausing, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			answered(s, in)
			rst(c)
		}), trouble{ResetAfter, Idle, 1}},
		{"a response too many", pausing, within(func(c *net.TCPConn, s *tls.Conn, in *bufio.Reader) {
			answered(s, in)
			respond(s, "v1\n")
			io.Copy(io.Discard, in)
		}), trouble{WrongBytes, Idle, 1}},
	} {
		t.Run(c.name, c.run)
	}
}
