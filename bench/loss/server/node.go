package server

import (
	"fmt"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

var node = Kind{
	Name: "node", About: "an http.Server of Debian's node, with server.close() at its stop",
	Takes: AnyPort | Number | Activation, Notify: true,
	Service: func(in Listen) string {
		port := in.port()
		if in.How == Activation {
			port = "fd"
		}
		// It is its child systemd-notify that says that it is ready.
		return fmt.Sprintf(`NotifyAccess=all
ExecStart=/usr/bin/node /opt/bench/server.js %%i %s
TimeoutStartSec=20s
TimeoutStopSec=15s
`, port)
	},
	Files:   map[string]string{"/opt/bench/server.js": file("server.js"), streamFile: stream()},
	Clients: []load.Kind{load.Short, load.KeepAlive, load.Stream},
	Load:    load.Config{Short: 8, Rate: 100, KeepAlive: 8, Streams: 2, Pause: 20 * time.Millisecond},
}
