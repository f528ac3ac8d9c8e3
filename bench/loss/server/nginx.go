package server

import (
	"fmt"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
	"github.com/switcheroo/switcheroo/test/server/wire"
)

var nginx = Kind{
	Name: "nginx", About: "Debian's nginx, with master and workers, stopped with SIGQUIT",
	// With SO_REUSEPORT each worker has a queue of its own.
	Takes: Number | ReusePort,
	Service: func(in Listen) string {
		options := ""
		if in.How == ReusePort {
			options = "reuseport"
		}
		// It reads no environment: its file is made for each instance.
		return fmt.Sprintf(`Type=forking
RuntimeDirectory=%%n
PIDFile=/run/%%n/nginx.pid
ExecStartPre=sed -n -e s|@DIR@|/run/%%n| -e s|@VERSION@|%%i| -e s|@PORT@|%s| -e s|@OPTIONS@|%s| -e s|@RATE@|%d| -e "w /run/%%n/nginx.conf" /etc/bench/nginx.conf
ExecStart=/usr/sbin/nginx -e stderr -c /run/%%n/nginx.conf
KillSignal=SIGQUIT
KillMode=mixed
TimeoutStartSec=20s
TimeoutStopSec=15s
`, in.port(), options, wire.StreamLength(streamFor)/3+1)
	},
	Files:   map[string]string{"/etc/bench/nginx.conf": file("nginx.conf"), streamFile: stream()},
	Clients: []load.Kind{load.Short, load.KeepAlive, load.Stream},
	Load:    load.Config{Short: 8, Rate: 200, KeepAlive: 8, Streams: 2, Pause: 20 * time.Millisecond},
}
