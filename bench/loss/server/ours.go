package server

import (
	"fmt"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// Ours are one program, test/server, in several modes. It answers all kinds of
// clients on one port.

var quick = ours("quick", "answers at once, and at its stop finishes all that is under way", load.Config{
	Short: 8, Rate: 150, KeepAlive: 4, Streams: 2, Echo: 2, TLS: 2, WebSocket: 2, HTTP2: 2, Pause: 20 * time.Millisecond,
})

// It takes 20 connections a second, and these are nearly as many.
var slowAccept = ours("slow-accept", "lets 50 ms pass between two accepts, so that its queue is hardly ever empty", load.Config{
	Short: 8, Rate: 6, KeepAlive: 2, Streams: 1, Echo: 1, TLS: 1, WebSocket: 1, HTTP2: 1, Pause: 50 * time.Millisecond, Requests: 40,
})

var abrupt = ours("abrupt", "exits at once when it is told to stop, with all its connections", load.Config{
	Short: 8, Rate: 150, KeepAlive: 4, Streams: 2, Echo: 2, TLS: 2, WebSocket: 2, HTTP2: 2, Pause: 20 * time.Millisecond,
})

var graceful = ours("graceful", "the textbook's Go program: 20 to 50 ms a request, and http.Server.Shutdown with 5 s", load.Config{
	Short: 16, Rate: 100, KeepAlive: 8, Streams: 2, Echo: 1, TLS: 2, WebSocket: 1, HTTP2: 2, Pause: 20 * time.Millisecond,
})

var overload = func() Kind {
	k := ours("overload", "an accept queue of 8 that is full for about a third of the time, so that SYNs are dropped", load.Config{
		Short: 32, Rate: 100, KeepAlive: 1, Streams: 1, Echo: 1, TLS: 1, WebSocket: 1, HTTP2: 1, Pause: 20 * time.Millisecond,
	})
	k.Own = []load.Class{load.Retransmitted, load.SlowConnect}
	return k
}()

var resetting = ours("resetting", "resets 2 % of its connections of its own will, and says so before", load.Config{
	Short: 8, Rate: 150, KeepAlive: 4, Streams: 2, Echo: 2, TLS: 2, WebSocket: 2, HTTP2: 2, Pause: 20 * time.Millisecond,
})

// Warm is for latency alone: quick, but as slow to start as most servers are, so that what a
// switch costs can be told from what the start of a program costs.
var Warm = func() Kind {
	k := quick
	k.Name, k.About = "warm", "quick, but takes 300 ms from its start to READY=1"
	k.Service = func(in Listen) string {
		return strings.Replace(quick.Service(in), program, program+" -ready-after 300ms", 1)
	}
	return k
}()

const program = "/opt/bench/server"

func ours(mode, about string, c load.Config) Kind {
	return Kind{
		Name: mode, About: about,
		Takes: AnyPort | Number | Activation | ReusePort, Notify: true,
		Service: func(in Listen) string {
			listen := "-listen [::]:" + in.port()
			switch in.How {
			case Activation:
				listen = "-listen fd"
			case ReusePort:
				listen += " -reuseport"
			}
			return fmt.Sprintf("ExecStart=%s -mode %s -version %%i %s\nTimeoutStartSec=20s\nTimeoutStopSec=15s\n", program, mode, listen)
		},
		Binds:   map[string]Build{program: {Package: "github.com/switcheroo/switcheroo/test/server"}},
		Clients: load.Kinds,
		Load:    c,
	}
}
