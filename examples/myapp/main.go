// Command myapp is a server that myapp@.service can run: it listens on a port
// of the kernel's choice and says when it is ready. That is all that an app
// does for Switcheroo, in any language, and it may do less: see README.md.
package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
)

func main() {
	if err := serve(); err != nil {
		slog.Error("myapp ends", "error", err)
		os.Exit(1)
	}
}

func serve() error {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s says hello to %s\n", os.Args[0], r.RemoteAddr)
	}))
}

// ready tells systemd that the listener is open (sd_notify(3)).
func ready() error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil // not started by systemd
	}
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	defer conn.Close()
	_, err = conn.Write([]byte("READY=1"))
	return err
}
