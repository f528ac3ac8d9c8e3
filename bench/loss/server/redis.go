package server

import (
	"fmt"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

var redis = Kind{
	Name: "redis", About: "Debian's redis, one thread; at its stop it exits with all its connections",
	Takes: Number, Notify: true,
	Service: func(in Listen) string {
		// It has no version of ours to tell, so it tells it as this setting,
		// which outside of a cluster means nothing.
		return fmt.Sprintf(`ExecStart=/usr/bin/redis-server --supervised systemd --bind * -::* --port %s --tcp-backlog 4096 --protected-mode no --save "" --loglevel warning --cluster-announce-hostname %%i
TimeoutStartSec=20s
TimeoutStopSec=15s
`, in.port())
	},
	Clients: []load.Kind{load.Short, load.KeepAlive, load.Stream},
	Load:    load.Config{Protocol: load.Redis, Short: 8, Rate: 200, KeepAlive: 8, Streams: 2, Pause: 20 * time.Millisecond},
}
