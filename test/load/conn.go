package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

// errOwnReset is a connection that the server said it resets of its own will.
var errOwnReset = errors.New("reset by the server's own will")

// conn is one connection of a client.
type conn struct {
	net.Conn
	in          *bufio.Reader
	timeout     time.Duration
	phase       Phase
	version     string // of the last response
	transport   error  // what the last failing read returned
	connectTime time.Duration
	retransmits uint8 // of the SYN
}

// dial connects to remote from the source port, or any for 0. It tries once.
func dial(remote netip.AddrPort, port uint16, timeout time.Duration) (*conn, error) {
	d := net.Dialer{Timeout: timeout, KeepAlive: -1, Control: reuseAddress}
	if port != 0 {
		d.LocalAddr = &net.TCPAddr{Port: int(port)}
	}
	begin := time.Now()
	nc, err := d.DialContext(context.Background(), "tcp", remote.String())
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, timeout: timeout, connectTime: time.Since(begin)}
	c.in = bufio.NewReaderSize(c, wire.Chunk)
	if c.retransmits, err = retransmits(nc.(*net.TCPConn)); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// reuseAddress lets the socket have a port whose last connection is not
// forgotten yet.
func reuseAddress(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	return errors.Join(err, failed)
}

// retransmits returns how many segments were sent again, which on a new
// connection are SYNs.
func retransmits(c *net.TCPConn) (uint8, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var info *unix.TCPInfo
	var failed error
	err = raw.Control(func(fd uintptr) {
		info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err := errors.Join(err, failed); err != nil {
		return 0, fmt.Errorf("read TCP_INFO: %w", err)
	}
	return uint8(min(info.Total_retrans, 255)), nil
}

// Read gives each read the whole timeout, and remembers how it failed:
// net/http hides that behind its own errors.
func (c *conn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	if err != nil {
		c.transport = err
	}
	return n, err
}

// exchange sends a request and checks the response with check, byte for byte.
// With the last one of a connection it asks the server to close, and waits for
// that. After an error c.phase says when it happened.
func (c *conn) exchange(path string, last bool, check func(*http.Response) error) error {
	c.phase, c.transport = Write, nil
	closing := ""
	if last {
		closing = "Connection: close\r\n"
	}
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c.Conn, "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n", path, closing); err != nil {
		if first, _ := c.in.Peek(1); string(first) == string(wire.Reset) {
			return errOwnReset
		}
		return err
	}
	c.phase = Wait
	first, err := c.in.Peek(1)
	if err != nil {
		return err
	}
	c.phase = Response
	if first[0] == wire.Reset {
		return errOwnReset
	}
	if err := c.response(check); err != nil {
		return err
	}
	if !last {
		return nil
	}
	c.phase = Close
	switch b, err := c.in.ReadByte(); {
	case err == nil:
		return wrong(fmt.Sprintf("after the response came %q", b))
	case err != io.EOF:
		return err
	}
	return nil
}

func (c *conn) response(check func(*http.Response) error) error {
	r, err := http.ReadResponse(c.in, nil)
	if err == nil {
		c.version = r.Header.Get(wire.VersionHeader)
		if r.StatusCode != http.StatusOK {
			return wrong("status " + r.Status)
		}
		err = check(r)
	}
	var w wrong
	switch {
	case err == nil, errors.As(err, &w):
		return err
	case c.transport != nil:
		return c.transport
	default:
		return wrong(err.Error())
	}
}

// checkVersion expects the body of /version to be the version of the header.
func checkVersion(r *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, 4096))
	if err != nil {
		return err
	}
	if want := r.Header.Get(wire.VersionHeader) + "\n"; want == "\n" || string(body) != want {
		return wrong(fmt.Sprintf("the body is %q, the version %q", body, want))
	}
	return nil
}

// checkStream expects the body to be the stream that lasts d.
func checkStream(d time.Duration) func(*http.Response) error {
	length := wire.StreamLength(d)
	return func(r *http.Response) error {
		if r.ContentLength != length {
			return wrong(fmt.Sprintf("the stream has %d bytes, not %d", r.ContentLength, length))
		}
		got, want := make([]byte, wire.Chunk), make([]byte, wire.Chunk)
		for offset := int64(0); offset < length; offset += wire.Chunk {
			if _, err := io.ReadFull(r.Body, got); err != nil {
				return err
			}
			if wire.Fill(want, offset); !bytes.Equal(got, want) {
				return wrong(fmt.Sprintf("the stream differs in the %d bytes from %d on", len(got), offset))
			}
		}
		return nil
	}
}
