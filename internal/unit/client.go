package unit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/godbus/dbus/v5"
)

// Options say where systemd is and what to look for. The zero value is right
// for a daemon.
type Options struct {
	Log *slog.Logger // default: none
	// Root is the file system that systemd runs in, such as
	// /proc/123/root. Unit files and both sockets are looked up there.
	Root string
	// Address is the message bus; default: unix:path=Root/run/dbus/system_bus_socket.
	Address string
	// Private is systemd's own socket, which is used when the bus is down;
	// default: unix:path=Root/run/systemd/private.
	Private string
	// Section is what a unit file must have to be reported; default: X-Switcheroo.
	Section string
}

// Client talks to systemd. Its methods may be called from several goroutines;
// Run from one only. All but Run share a connection, which is made when it is
// needed: they work whether Run does or not.
type Client struct {
	log     *slog.Logger
	address string
	private string
	files   *fileReader
	section string
	memory  memory

	// The connection of the calls; the channel is its lock.
	calls  chan *bus
	resync chan struct{}
}

// New returns a client, which connects when it is used. Close it.
func New(o Options) *Client {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Address == "" {
		o.Address = "unix:path=" + o.Root + "/run/dbus/system_bus_socket"
	}
	if o.Private == "" {
		o.Private = "unix:path=" + o.Root + "/run/systemd/private"
	}
	if o.Section == "" {
		o.Section = "X-Switcheroo"
	}
	c := &Client{
		log: o.Log, address: o.Address, private: o.Private, section: o.Section,
		memory: memory{files: make(map[dbus.ObjectPath][]File)},
		files:  &fileReader{root: o.Root, log: o.Log, troubles: make(map[string]string)},
		calls:  make(chan *bus, 1),
		resync: make(chan struct{}, 1),
	}
	c.calls <- nil
	return c
}

// Close ends the connection of the calls. Run ends with its context.
func (c *Client) Close() {
	b := <-c.calls
	if b != nil {
		b.close()
	}
	c.calls <- nil
}

// open connects through the bus or, failing that, through the private socket.
func (c *Client) open(ctx context.Context) (*bus, error) {
	b, err := openBus(ctx, c.address)
	if err == nil {
		return b, nil
	}
	p, privateErr := openPrivate(ctx, c.private)
	if privateErr != nil {
		return nil, fmt.Errorf("%w; %w", err, privateErr)
	}
	return p, nil
}

// do calls f with a connection, again and again while systemd or the bus are
// away, until ctx ends. f may be called twice for something that was done the
// first time.
func (c *Client) do(ctx context.Context, f func(*bus) error) error {
	var wait backoff
	var last error
	for {
		err := c.try(ctx, f)
		if !passing(err) {
			return err
		}
		first := last == nil
		if first || ctx.Err() == nil {
			last = err
		}
		// A connection that ended since the last call is no trouble yet.
		if first && ctx.Err() == nil {
			continue
		}
		if err := wait.sleep(ctx); err != nil {
			return fmt.Errorf("%w (last: %w)", err, last)
		}
	}
}

func (c *Client) try(ctx context.Context, f func(*bus) error) error {
	var b *bus
	select {
	case b = <-c.calls:
	case <-ctx.Done():
		return ctx.Err()
	}
	if b == nil || !b.conn.Connected() {
		if b != nil {
			b.close()
		}
		var err error
		if b, err = c.open(ctx); err != nil {
			c.calls <- nil
			return err
		}
	}
	c.calls <- b // calls may overlap
	err := f(b)
	if passing(err) && errors.As(err, new(dbus.Error)) {
		// The bus answered that systemd is not there. The next try waits for
		// it, or takes the private socket.
		b.close()
	}
	return err
}

// manager calls a method of systemd's manager and stores what it returns.
func (c *Client) manager(ctx context.Context, method string, args []any, results ...any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.do(ctx, func(b *bus) error {
		return b.call(ctx, b.systemd(managerPath), managerIface+"."+method, args...).Store(results...)
	})
}

// get reads a property of systemd's manager.
func (c *Client) get(ctx context.Context, name string, value any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var v dbus.Variant
	err := c.do(ctx, func(b *bus) error {
		return b.call(ctx, b.systemd(managerPath), properties+".Get", managerIface, name).Store(&v)
	})
	if err != nil {
		return err
	}
	return v.Store(value)
}
