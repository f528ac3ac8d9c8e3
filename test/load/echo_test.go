package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

// greeted reads how many bytes an echo is to have, and names the version.
func greeted(c *net.TCPConn, in *bufio.Reader) (n int64) {
	fmt.Fscanf(in, "echo %d\n", &n)
	fmt.Fprint(c, "v1\n")
	return n
}

func TestEchoClasses(t *testing.T) {
	config := Config{Echo: 1, Requests: 3, SlowConnect: -1}
	pausing := config
	pausing.Pause = idling
	for _, c := range []fault{
		{"reset at once", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.Peek(1)
			rst(c)
		}, trouble{ResetBefore, Wait, 1}},
		{"close at once", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.ReadString('\n')
		}, trouble{EarlyEnd, Wait, 1}},
		{"no version", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.ReadString('\n')
			fmt.Fprint(c, "\n")
			io.Copy(io.Discard, in)
		}, trouble{WrongBytes, Response, 1}},
		{"half a version", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			in.ReadString('\n')
			fmt.Fprint(c, "v")
			rst(c)
		}, trouble{ResetAfter, Response, 1}},
		{"close after the version", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			greeted(c, in)
			in.Peek(1)
			in.Discard(in.Buffered())
		}, trouble{EarlyEnd, Wait, 1}},
		{"half a chunk", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			greeted(c, in)
			b, _ := in.ReadByte()
			c.Write([]byte{b})
			io.Copy(io.Discard, in)
		}, trouble{TimedOut, Response, 1}},
		{"a byte twice", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			total := greeted(c, in)
			b, _ := in.Peek(1)
			c.Write(b)
			io.CopyN(c, in, total)
			io.Copy(io.Discard, in)
		}, trouble{WrongBytes, Response, 1}},
		{"a byte more", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			io.CopyN(c, in, greeted(c, in))
			fmt.Fprint(c, "x")
		}, trouble{WrongBytes, Close, 3}},
		{"no close", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			io.CopyN(c, in, greeted(c, in))
			io.Copy(io.Discard, in)
		}, trouble{TimedOut, Close, 3}},
		{"reset instead of a close", config, func(c *net.TCPConn, in *bufio.Reader, n int) {
			io.CopyN(c, in, greeted(c, in))
			rst(c)
		}, trouble{ResetAfter, Close, 3}},
		// It has more to send back, so this is no close of an idle connection.
		{"close while idle", pausing, func(c *net.TCPConn, in *bufio.Reader, n int) {
			greeted(c, in)
			in.Peek(1)
			io.CopyN(c, in, int64(in.Buffered()))
		}, trouble{EarlyEnd, Idle, 1}},
		{"reset while idle", pausing, func(c *net.TCPConn, in *bufio.Reader, n int) {
			greeted(c, in)
			in.Peek(1)
			io.CopyN(c, in, int64(in.Buffered()))
			rst(c)
		}, trouble{ResetAfter, Idle, 1}},
	} {
		t.Run(c.name, c.run)
	}
}

// Every kind knows a reset of the server's own will.
func TestOwnResetOfEveryKind(t *testing.T) {
	addr := answer(t, func(c *net.TCPConn, in *bufio.Reader, n int) {
		in.Peek(1)
		c.Write([]byte{wire.Reset})
		rst(c)
	})
	for _, config := range []Config{
		{Short: 1}, {KeepAlive: 1}, {Streams: 1}, {Echo: 1}, {TLS: 1}, {WebSocket: 1}, {HTTP2: 1},
		{Short: 1, Protocol: Redis}, {KeepAlive: 1, Protocol: Redis}, {Streams: 1, Protocol: Redis},
	} {
		config.Targets, config.Duration, config.Connections, config.SlowConnect = []string{addr}, time.Minute, 20, -1
		r, err := Run(t.Context(), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		if total := r.Total(); r.Failed() != 0 || total.ServerResets != 20 {
			t.Errorf("%s: %d resets, failures %v", config, total.ServerResets, r.Failures)
		}
	}
}
