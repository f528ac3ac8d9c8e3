package server

import (
	"fmt"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

var python = Kind{
	Name: "python", About: "an asyncio server on Debian's python, which finishes requests at its stop",
	Takes: AnyPort | Number | Activation | ReusePort, Notify: true,
	Service: func(in Listen) string {
		port := in.port()
		switch in.How {
		case Activation:
			port = "fd"
		case ReusePort:
			port += " reuseport"
		}
		return fmt.Sprintf(`ExecStart=/usr/bin/python3 /opt/bench/server.py %%i %s
TimeoutStartSec=20s
TimeoutStopSec=15s
`, port)
	},
	Files:   map[string]string{"/opt/bench/server.py": file("server.py"), streamFile: stream()},
	Clients: []load.Kind{load.Short, load.KeepAlive, load.Stream},
	Load:    load.Config{Short: 8, Rate: 100, KeepAlive: 8, Streams: 2, Pause: 20 * time.Millisecond},
}
