// Command app is the service that the tests start.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	listen := flag.String("listen", "", "network:address to listen on, several with commas: tcp4:127.0.0.1:0")
	gate := flag.String("gate", "", "be ready only when somebody has written to this FIFO")
	stamp := flag.String("stamp", "", "file to write the time of READY=1 to: CLOCK_MONOTONIC, nanoseconds")
	linger := flag.Duration("linger", 0, "how long to take to end after SIGTERM")
	flag.Parse()
	term := make(chan os.Signal, 1)
	signal.Notify(term, unix.SIGTERM)
	for _, l := range strings.FieldsFunc(*listen, func(r rune) bool { return r == ',' }) {
		network, address, _ := strings.Cut(l, ":")
		if _, err := net.Listen(network, address); err != nil {
			log.Fatal(err)
		}
	}
	if *gate != "" {
		if err := unix.Mkfifo(*gate, 0o600); err != nil && err != unix.EEXIST {
			log.Fatal(err)
		}
		if _, err := os.ReadFile(*gate); err != nil {
			log.Fatal(err)
		}
	}
	if socket := os.Getenv("NOTIFY_SOCKET"); socket != "" {
		conn, err := net.Dial("unixgram", socket)
		if err != nil {
			log.Fatal(err)
		}
		var now unix.Timespec
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
		if _, err := conn.Write([]byte("READY=1")); err != nil {
			log.Fatal(err)
		}
		if *stamp != "" {
			if err := os.WriteFile(*stamp, fmt.Append(nil, now.Nano()), 0o644); err != nil {
				log.Fatal(err)
			}
		}
	}
	<-term
	time.Sleep(*linger)
}
