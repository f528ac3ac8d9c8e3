package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/test/server/wire"
)

// conn is one connection of a client.
type conn struct {
	net.Conn
	raw     syscall.RawConn
	in      *bufio.Reader // where the script reads; of TLS once there is any
	out     io.Writer     // where it writes, likewise
	timeout time.Duration
	patient bool // Read leaves the deadline as it is
	phase   Phase
	version string // of the last response
	closing bool   // which said that the server closes, and it did, unasked

	began, connected time.Time
	retransmits      uint8         // of the SYN
	handshake        time.Duration // from the SYN to its answer, by the kernel

	// HTTP/2 reads and writes in goroutines of its own.
	reading   sync.Mutex // held until what a read brought is in received
	writing   sync.Mutex // held until the error of a write is in transport; taken after reading
	mu        sync.Mutex
	transport error // the first error of a read or write
	received  int64 // bytes
	first     byte  // of them
}

// readers are for the connections to come: a client makes thousands.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, wire.Chunk) }}

// dial connects to remote from the source port, or any for 0. It tries once.
func dial(remote netip.AddrPort, port uint16, timeout time.Duration) (*conn, error) {
	d := net.Dialer{Timeout: timeout, KeepAlive: -1, Control: reuseAddress}
	if port != 0 {
		d.LocalAddr = &net.TCPAddr{Port: int(port)}
	}
	c := &conn{timeout: timeout, began: time.Now()}
	var err error
	if c.Conn, err = d.DialContext(context.Background(), "tcp", remote.String()); err != nil {
		return nil, err
	}
	c.connected = time.Now()
	if c.raw, err = c.Conn.(*net.TCPConn).SyscallConn(); err == nil {
		c.retransmits, c.handshake, err = handshake(c.raw)
	}
	if err != nil {
		c.Conn.Close()
		return nil, err
	}
	c.in, c.out = readers.Get().(*bufio.Reader), c
	c.in.Reset(c)
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

// handshake returns how many segments of a new connection were sent again,
// which are SYNs, and how long the answer to the SYN took: on a connection that
// has sent nothing else, that is its round-trip time.
func handshake(raw syscall.RawConn) (uint8, time.Duration, error) {
	var info *unix.TCPInfo
	var failed error
	err := raw.Control(func(fd uintptr) {
		info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err := errors.Join(err, failed); err != nil {
		return 0, 0, fmt.Errorf("read TCP_INFO: %w", err)
	}
	return uint8(min(info.Total_retrans, 255)), time.Duration(info.Rtt) * time.Microsecond, nil
}

// connectTime is how long connect took.
func (c *conn) connectTime() time.Duration { return c.connected.Sub(c.began) }

// release closes c and gives back what another connection can use. Nobody may
// read from c.in any more.
func (c *conn) release() {
	c.Close()
	c.in.Reset(nil)
	readers.Put(c.in)
}

// Read gives each read the whole timeout, and remembers how it failed:
// libraries hide that behind errors of their own.
func (c *conn) Read(b []byte) (int, error) {
	if c.patient {
		return c.read(b)
	}
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.read(b)
}

// read has the deadline that was set last.
func (c *conn) read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	n, err := c.Conn.Read(b)
	if err == io.EOF {
		// The kernel tells of a reset once. If a write was told, this is it.
		c.writing.Lock()
		defer c.writing.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.received == 0 && n > 0 {
		c.first = b[0]
	}
	c.received += int64(n)
	c.failed(err)
	return n, err
}

// Write does with a write what Read does. If the connection was reset before
// anything came, it reads what may be the reason.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	n, err := c.write(b)
	if isReset(err) && c.got() == 0 {
		c.Read(make([]byte, 1))
	}
	return n, err
}

func (c *conn) write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.Conn.Write(b)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.failed(err)
	}
	return n, err
}

func (c *conn) failed(err error) {
	if c.transport == nil && !errors.Is(err, net.ErrClosed) { // which is our own doing
		c.transport = err
	}
}

// forget makes the next error of the transport the first one.
func (c *conn) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transport = nil
}

// lost returns how the transport failed, or nil.
func (c *conn) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.transport
}

// got returns how many bytes were received so far.
func (c *conn) got() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received
}

// cause returns what is behind err, which a script returned: what the transport
// or the server did, without what libraries make of it.
func (c *conn) cause(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var w wrong
	switch {
	case isEnd(err), errors.As(err, &w):
		return err
	// The only byte ever: none of the protocols begins so.
	case c.received == 1 && c.first == wire.Reset && isReset(c.transport):
		return errOwnReset
	case c.transport != nil:
		return c.transport
	case classify(c.phase, err) == Other:
		return wrong(err.Error()) // of a library that understands no word
	}
	return err
}

// send writes b and waits for the first byte of what comes back.
func (c *conn) send(b []byte) error {
	c.phase = Write
	if _, err := c.out.Write(b); err != nil {
		if first, _ := c.in.Peek(1); string(first) == string(wire.Reset) {
			return errOwnReset
		}
		return err
	}
	c.phase = Wait
	if _, err := c.in.Peek(1); err != nil {
		return err
	}
	c.phase = Response
	return nil
}

// ended expects the server to close.
func (c *conn) ended() error {
	c.phase = Close
	switch b, err := c.in.ReadByte(); {
	case err == nil:
		return wrong(fmt.Sprintf("after the last response came %q", b))
	case err != io.EOF:
		return err
	}
	return nil
}

// idle waits for d, while no request is under way, or until the server does
// something. It returns errIdleClose if that is a close, and errStopped if ctx
// ends. With true there is something to read. Nothing is consumed.
func (c *conn) idle(ctx context.Context, d time.Duration) (bool, error) {
	c.phase = Idle
	if c.in.Buffered() > 0 {
		return true, nil
	}
	var n int
	var failed error
	look := func(fd uintptr) bool {
		var b [1]byte
		n, _, failed = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return failed != unix.EAGAIN
	}
	err := c.until(ctx, d, func() error { return c.raw.Read(look) })
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// This goroutine may have been late.
		err = c.raw.Control(func(fd uintptr) { look(fd) })
	}
	switch {
	case err != nil:
		return false, err
	case failed == unix.EAGAIN:
		if ctx.Err() != nil {
			return false, errStopped
		}
		return false, nil
	case failed != nil:
		return false, failed
	case n == 0:
		return false, errIdleClose
	}
	return true, nil
}

// until runs read, which is to fail with os.ErrDeadlineExceeded after d, or
// when ctx ends.
func (c *conn) until(ctx context.Context, d time.Duration, read func() error) error {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		c.SetReadDeadline(time.Unix(1, 0))
	})
	err := read()
	if !stop() {
		<-woken // so that it is not the last to set the deadline
	}
	return err
}
