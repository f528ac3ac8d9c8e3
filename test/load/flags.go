package load

import (
	"flag"
	"fmt"
	"strings"
	"time"
)

// Flags adds the flags to set that Args returns.
func (c *Config) Flags(set *flag.FlagSet) {
	set.Func("target", "`address` to connect to, repeatable", func(s string) error {
		c.Targets = append(c.Targets, s)
		return nil
	})
	set.StringVar((*string)(&c.Protocol), "protocol", string(HTTP), "what the clients of -short, -keepalive and -streams speak: http or redis")
	set.IntVar(&c.Short, "short", 0, "clients with one request a connection")
	set.IntVar(&c.KeepAlive, "keepalive", 0, "clients with several requests a connection")
	set.IntVar(&c.Streams, "streams", 0, "clients that read a stream")
	set.IntVar(&c.Echo, "echo", 0, "clients of a raw TCP echo")
	set.IntVar(&c.TLS, "tls", 0, "clients with several requests a connection, over TLS")
	set.IntVar(&c.WebSocket, "websocket", 0, "clients with messages over WebSocket")
	set.IntVar(&c.HTTP2, "http2", 0, "clients with several requests a connection, some at once, over HTTP/2")
	set.IntVar(&c.Requests, "requests", 20, "requests of a connection that has several")
	set.DurationVar(&c.StreamFor, "stream-for", 2*time.Second, "how long a stream lasts")
	set.DurationVar(&c.Pause, "pause", 0, "mean of the pauses between the requests of a connection (0: none)")
	set.IntVar(&c.Rate, "rate", 0, "connections a second of all short clients together (0: as fast as possible)")
	set.DurationVar(&c.Duration, "duration", 0, fmt.Sprintf("how long to run, at most %v (required)", MaxDuration))
	set.Int64Var(&c.Connections, "connections", 10_000_000, "connections after which to end")
	set.DurationVar(&c.Timeout, "timeout", 10*time.Second, "how long a connect, or the next byte, may take")
	set.DurationVar(&c.SlowConnect, "slow-connect", 200*time.Millisecond, "from when on the answer to a SYN is late, which is a failure (negative: never)")
	set.Func("source-ports", "`range` of source ports to use in turn, as in 20000-21999", func(s string) (err error) {
		c.SourcePorts, err = ParsePortRange(s)
		return err
	})
	set.Uint64Var(&c.Seed, "seed", 0, "where pauses, sizes and bytes come from (0: the clock)")
	set.BoolVar(&c.Samples, "samples", false, "tell how long every request took, and when")
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
	add("protocol", c.Protocol, c.Protocol != "")
	add("short", c.Short, c.Short != 0)
	add("keepalive", c.KeepAlive, c.KeepAlive != 0)
	add("streams", c.Streams, c.Streams != 0)
	add("echo", c.Echo, c.Echo != 0)
	add("tls", c.TLS, c.TLS != 0)
	add("websocket", c.WebSocket, c.WebSocket != 0)
	add("http2", c.HTTP2, c.HTTP2 != 0)
	add("requests", c.Requests, c.Requests != 0)
	add("stream-for", c.StreamFor, c.StreamFor != 0)
	add("pause", c.Pause, c.Pause != 0)
	add("rate", c.Rate, c.Rate != 0)
	add("duration", c.Duration, true)
	add("connections", c.Connections, c.Connections != 0)
	add("timeout", c.Timeout, c.Timeout != 0)
	add("slow-connect", c.SlowConnect, c.SlowConnect != 0)
	add("source-ports", c.SourcePorts, c.SourcePorts.Len() > 0)
	add("seed", c.Seed, c.Seed != 0)
	add("samples", c.Samples, c.Samples)
	return args
}

// String returns c for messages.
func (c Config) String() string { return strings.Join(c.Args(), " ") }
