package load

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Config says what load to make. Durations and counts that are zero take the
// default that is named with them.
type Config struct {
	// Targets are addresses to connect to, "10.9.0.1:80"; each client takes
	// them in turn. A name stands for all its addresses.
	Targets []string

	Short     int // clients with one request a connection
	KeepAlive int // clients with Requests a connection
	Streams   int // clients that read a stream

	Requests  int           // of a keep-alive connection; 20
	StreamFor time.Duration // how long a stream lasts; 2s
	Rate      int           // connections a second of all short clients together; 0: as fast as possible

	// Duration ends the run: clients then finish the request under way. It
	// must be given, and is at most MaxDuration.
	Duration time.Duration
	// Connections ends the run too; 10 million.
	Connections int64

	// Timeout is how long a connect, or the next byte, may take; 10s.
	Timeout time.Duration
	// SlowConnect is from when on a connect is slow; 200ms.
	SlowConnect time.Duration
	// SourcePorts are taken in turn, by all clients; the zero value leaves
	// them to the kernel.
	SourcePorts PortRange
}

// MaxDuration is the longest run.
const MaxDuration = 10 * time.Minute

// withDefaults returns c with its defaults, and whether it is one.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Requests, 20)
	setDefault(&c.StreamFor, 2*time.Second)
	setDefault(&c.Connections, 10_000_000)
	setDefault(&c.Timeout, 10*time.Second)
	setDefault(&c.SlowConnect, 200*time.Millisecond)
	switch {
	case len(c.Targets) == 0:
		return c, errors.New("no target")
	case c.Short < 0 || c.KeepAlive < 0 || c.Streams < 0 || c.Rate < 0 || c.Requests < 0 || c.Connections < 0:
		return c, errors.New("a number of clients, requests or connections is negative")
	case c.clients() == 0:
		return c, errors.New("no clients")
	case c.Duration <= 0 || c.Duration > MaxDuration:
		return c, fmt.Errorf("the duration must be above 0 and at most %v, not %v", MaxDuration, c.Duration)
	case c.Timeout < 0 || c.SlowConnect < 0 || c.StreamFor < 0 || c.StreamFor > MaxDuration:
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

func (c Config) clients() int { return c.Short + c.KeepAlive + c.Streams }

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

// Flags adds the flags to set that Args returns.
func (c *Config) Flags(set *flag.FlagSet) {
	set.Func("target", "`address` to connect to, repeatable", func(s string) error {
		c.Targets = append(c.Targets, s)
		return nil
	})
	set.IntVar(&c.Short, "short", 0, "clients with one request a connection")
	set.IntVar(&c.KeepAlive, "keepalive", 0, "clients with several requests a connection")
	set.IntVar(&c.Streams, "streams", 0, "clients that read a stream")
	set.IntVar(&c.Requests, "requests", 20, "requests of a keep-alive connection")
	set.DurationVar(&c.StreamFor, "stream-for", 2*time.Second, "how long a stream lasts")
	set.IntVar(&c.Rate, "rate", 0, "connections a second of all short clients together (0: as fast as possible)")
	set.DurationVar(&c.Duration, "duration", 0, fmt.Sprintf("how long to run, at most %v (required)", MaxDuration))
	set.Int64Var(&c.Connections, "connections", 10_000_000, "connections after which to end")
	set.DurationVar(&c.Timeout, "timeout", 10*time.Second, "how long a connect, or the next byte, may take")
	set.DurationVar(&c.SlowConnect, "slow-connect", 200*time.Millisecond, "from when on a connect is slow")
	set.Func("source-ports", "`range` of source ports to use in turn, as in 20000-21999", func(s string) (err error) {
		c.SourcePorts, err = ParsePortRange(s)
		return err
	})
}

// Args returns c as arguments for Flags.
func (c Config) Args() []string {
	var args []string
	for _, t := range c.Targets {
		args = append(args, "-target="+t)
	}
	add := func(name string, value any, given bool) {
		if given {
			args = append(args, fmt.Sprintf("-%s=%v", name, value))
		}
	}
	add("short", c.Short, c.Short != 0)
	add("keepalive", c.KeepAlive, c.KeepAlive != 0)
	add("streams", c.Streams, c.Streams != 0)
	add("requests", c.Requests, c.Requests != 0)
	add("stream-for", c.StreamFor, c.StreamFor != 0)
	add("rate", c.Rate, c.Rate != 0)
	add("duration", c.Duration, true)
	add("connections", c.Connections, c.Connections != 0)
	add("timeout", c.Timeout, c.Timeout != 0)
	add("slow-connect", c.SlowConnect, c.SlowConnect != 0)
	add("source-ports", c.SourcePorts, c.SourcePorts.Len() > 0)
	return args
}

// String returns c for messages.
func (c Config) String() string { return strings.Join(c.Args(), " ") }
