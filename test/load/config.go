package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// Config says what load to make. Durations and counts that are zero take the
// default that is named with them.
type Config struct {
	// Targets are addresses to connect to, "10.9.0.1:80"; each client takes
	// them in turn. A name stands for all its addresses.
	Targets []string

	// Protocol is what the clients of the next three speak; HTTP.
	Protocol  Protocol
	Short     int // clients with one request a connection
	KeepAlive int // clients with Requests a connection
	Streams   int // clients that read a stream

	Echo      int // clients with Requests chunks a connection that come back
	TLS       int // clients as KeepAlive, over HTTP/1.1 in TLS
	WebSocket int // clients with Requests messages a connection that come back
	HTTP2     int // clients with Requests a connection, some of them at once

	Requests  int           // of a connection that has several; 20
	StreamFor time.Duration // how long a stream lasts; 2s
	// Pause is the mean of the pauses between the requests of a connection.
	// They are distributed exponentially, up to ten times of it. 0: none, and
	// such a client does not look whether its connection was closed meanwhile.
	Pause time.Duration
	Rate  int // connections a second of all short clients together; 0: as fast as possible

	// Duration ends the run: clients then finish the request under way. It
	// must be given, and is at most MaxDuration.
	Duration time.Duration
	// Connections ends the run too; 10 million.
	Connections int64

	// Timeout is how long a connect, or the next byte, may take; 10s.
	Timeout time.Duration
	// SlowConnect is from when on the answer to a SYN is late, which is a
	// failure; 200ms. Negative: never.
	SlowConnect time.Duration
	// SourcePorts are taken in turn, by all clients but those of HTTP2, which
	// close first, so that theirs stay in TIME_WAIT. The zero value leaves all
	// of them to the kernel.
	SourcePorts PortRange

	// Seed is where pauses, sizes and bytes come from; a new one from the
	// clock, which the Result has.
	Seed uint64
	// Samples has the Result tell how long every request took, and when.
	Samples bool
}

// Protocol is a protocol of short, keep-alive and stream clients.
type Protocol string

const (
	HTTP  Protocol = "http"
	Redis Protocol = "redis"
)

// MaxDuration is the longest run.
const MaxDuration = 10 * time.Minute

// withDefaults returns c with its defaults, and whether it is one.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Protocol, HTTP)
	setDefault(&c.Requests, 20)
	setDefault(&c.StreamFor, 2*time.Second)
	setDefault(&c.Connections, 10_000_000)
	setDefault(&c.Timeout, 10*time.Second)
	setDefault(&c.SlowConnect, 200*time.Millisecond)
	switch {
	case len(c.Targets) == 0:
		return c, errors.New("no target")
	case c.Protocol != HTTP && c.Protocol != Redis:
		return c, fmt.Errorf("no protocol %q, only %s and %s", c.Protocol, HTTP, Redis)
	case slices.Min(c.numbers()) < 0 || c.Rate < 0 || c.Requests < 0 || c.Connections < 0:
		return c, errors.New("a number of clients, requests or connections is negative")
	case c.clients() == 0:
		return c, errors.New("no clients")
	case c.Duration <= 0 || c.Duration > MaxDuration:
		return c, fmt.Errorf("the duration must be above 0 and at most %v, not %v", MaxDuration, c.Duration)
	case c.Timeout < 0 || c.StreamFor < 0 || c.StreamFor > MaxDuration || c.Pause < 0 || c.Pause > MaxDuration:
		return c, fmt.Errorf("a time is negative or above %v", MaxDuration)
	}
	if n := c.SourcePorts.Len(); n > 0 && n < c.clients() {
		return c, fmt.Errorf("%d source ports are too few for %d clients", n, c.clients())
	}
	return c, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// numbers are the numbers of clients of each kind.
func (c Config) numbers() []int {
	return []int{c.Short, c.KeepAlive, c.Streams, c.Echo, c.TLS, c.WebSocket, c.HTTP2}
}

func (c Config) clients() int {
	sum := 0
	for _, n := range c.numbers() {
		sum += n
	}
	return sum
}

// resolve returns the addresses of c.Targets.
func (c Config) resolve(ctx context.Context) ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for _, t := range c.Targets {
		addrs, err := resolve(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("target %q: %w", t, err)
		}
		all = append(all, addrs...)
	}
	return all, nil
}

func resolve(ctx context.Context, target string) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for _, ip := range ips {
		all = append(all, netip.AddrPortFrom(ip.Unmap(), uint16(n)))
	}
	return all, nil
}
