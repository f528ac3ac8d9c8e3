package unit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sync/semaphore"
)

const (
	// callTimeout bounds one D-Bus call.
	callTimeout = 5 * time.Second
	// openTimeout bounds connecting. While the bus is down its socket may
	// still accept, because systemd holds it, and then nobody answers.
	openTimeout = time.Second

	systemdName = "org.freedesktop.systemd1"
	busName     = "org.freedesktop.DBus"
	properties  = "org.freedesktop.DBus.Properties"

	managerPath  = dbus.ObjectPath("/org/freedesktop/systemd1")
	managerIface = systemdName + ".Manager"
	unitIface    = systemdName + ".Unit"
	serviceIface = systemdName + ".Service"
	jobIface     = systemdName + ".Job"
)

// bus is one connection to systemd: through the message bus or, where that is
// down, straight to systemd's private socket.
type bus struct {
	conn    *dbus.Conn
	sock    net.Conn
	private bool
	// unanswered bounds how many calls are: the bus lets a connection have 128.
	unanswered *semaphore.Weighted
}

// maxUnanswered leaves some for what is called without being counted: Hello and
// the like.
const maxUnanswered = 120

// stream buffers what is read from a socket. godbus given a plain stream also
// leaves out the passing of file descriptors, so nobody on the bus can make
// this process hold files.
type stream struct {
	*bufio.Reader
	net.Conn
}

func (s stream) Read(b []byte) (int, error) { return s.Reader.Read(b) }

// openBus connects to the message bus and waits until systemd is on it, which
// after a restart of the bus takes a moment.
func openBus(ctx context.Context, address string) (*bus, error) {
	return open(ctx, address, false, func(ctx context.Context, b *bus) error {
		if err := b.conn.Hello(); err != nil {
			return err
		}
		var wait backoff
		for {
			owner, err := b.owner(ctx)
			if owner != "" || err != nil {
				return err
			}
			if wait.sleep(ctx) != nil {
				return errors.New("systemd is not on the bus")
			}
		}
	})
}

// openPrivate connects to systemd's private socket, on which there is no bus
// to greet or to match signals: systemd sends them all.
func openPrivate(ctx context.Context, address string) (*bus, error) {
	return open(ctx, address, true, func(ctx context.Context, b *bus) error {
		// A message that systemd reads together with the end of the
		// authentication stays in its buffer until another one comes, so
		// the first call would hang (measured: 42 of 50). Push it out.
		ctx, answered := context.WithCancel(ctx)
		pushed := make(chan struct{})
		go func() {
			defer close(pushed)
			var wait backoff
			for wait.sleep(ctx) == nil {
				b.systemd(managerPath).Go("org.freedesktop.DBus.Peer.Ping", dbus.FlagNoReplyExpected, nil)
			}
		}()
		err := b.call(ctx, b.systemd(managerPath), "org.freedesktop.DBus.Peer.Ping").Err
		answered()
		<-pushed
		return err
	})
}

// open dials address, authenticates, and calls greet for what has to happen
// before the connection can be used, all within openTimeout.
func open(ctx context.Context, address string, private bool, greet func(context.Context, *bus) error) (_ *bus, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("connect to %s: %w", address, err)
		}
	}()
	path, ok := strings.CutPrefix(address, "unix:path=")
	if !ok {
		return nil, errors.New(`not of the form "unix:path=..."`)
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	sock, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	// Auth and Hello take no context.
	stop := context.AfterFunc(ctx, func() { sock.Close() })
	conn, err := dbus.NewConn(stream{bufio.NewReaderSize(sock, 16<<10), sock},
		dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		stop()
		sock.Close()
		return nil, err
	}
	b := &bus{conn: conn, sock: sock, private: private, unanswered: semaphore.NewWeighted(maxUnanswered)}
	err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))})
	if err == nil {
		err = greet(ctx, b)
	}
	if !stop() {
		err = ctx.Err() // the cause of whatever err was
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// close ends the connection, and every call on it with an error.
func (b *bus) close() {
	// First the socket: godbus would wait for a write that is stuck.
	b.sock.Close()
	b.conn.Close()
}

// systemd returns an object of systemd's.
func (b *bus) systemd(path dbus.ObjectPath) dbus.BusObject {
	return b.conn.Object(systemdName, path)
}

// owner returns systemd's unique name on the bus, "" if it is not there.
func (b *bus) owner(ctx context.Context) (string, error) {
	var name string
	err := b.call(ctx, b.conn.BusObject(), busName+".GetNameOwner", systemdName).Store(&name)
	if isError(err, busName+".Error.NameHasNoOwner") {
		return "", nil
	}
	return name, err
}

// match asks the bus for the signals that rule describes.
func (b *bus) match(ctx context.Context, rule string) error {
	err := b.call(ctx, b.conn.BusObject(), busName+".AddMatch", "type='signal',"+rule).Err
	if err != nil {
		return fmt.Errorf("match signals: %w", err)
	}
	return nil
}

// call calls a method and waits for the reply.
func (b *bus) call(ctx context.Context, on dbus.BusObject, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := b.unanswered.Acquire(ctx, 1); err != nil {
		return &dbus.Call{Err: err}
	}
	defer b.unanswered.Release(1)
	return <-b.send(ctx, on, method, args...).Done
}

// send calls a method without waiting for the reply, so that several calls
// need one round trip. ctx has a deadline.
func (b *bus) send(ctx context.Context, on dbus.BusObject, method string, args ...any) *dbus.Call {
	// ctx does not reach the write, and a peer that never reads blocks it.
	if deadline, ok := ctx.Deadline(); ok {
		b.sock.SetWriteDeadline(deadline)
	}
	return on.GoWithContext(ctx, method, dbus.FlagNoAutoStart, make(chan *dbus.Call, 1), args...)
}

// isError reports whether err is the D-Bus error of that name.
func isError(err error, name string) bool {
	var e dbus.Error
	return errors.As(err, &e) && e.Name == name
}

// passing reports whether err may be over when the call is tried again: no
// connection, or nobody at its other end. That is how calls fail while systemd
// re-executes itself or the bus restarts.
func passing(err error) bool {
	var e dbus.Error
	if !errors.As(err, &e) {
		return err != nil
	}
	switch e.Name {
	case busName + ".Error.NoReply", // "Message recipient disconnected from message bus without replying"
		busName + ".Error.Disconnected",
		busName + ".Error.NameHasNoOwner",
		busName + ".Error.NoServer",
		busName + ".Error.ServiceUnknown",
		busName + ".Error.Timeout",
		busName + ".Error.TimedOut":
		return true
	}
	return false
}

// backoff is a wait that doubles from 10 ms to a second.
type backoff struct{ last time.Duration }

func (b *backoff) next() time.Duration {
	b.last = min(max(10*time.Millisecond, 2*b.last), time.Second)
	return b.last
}

// sleep waits for the next time, or returns ctx's error.
func (b *backoff) sleep(ctx context.Context) error {
	t := time.NewTimer(b.next())
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
