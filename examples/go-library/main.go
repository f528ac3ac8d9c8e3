// Command go-library is an HTTP server that takes over from its older version
// by itself, with the library: `go-library` is all there is to start.
//
// Port:  the library finds a free private port, and leads new connections from
// port 8080 there; as a unit it gets its listener from its .socket unit.
// Ready: when Ready returns; to systemd the library says READY=1.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/switcheroo/switcheroo"
)

func main() {
	if err := serve(); err != nil {
		slog.Error("server ends", "error", err)
		os.Exit(1)
	}
}

func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	h, err := switcheroo.Listen(context.Background(), switcheroo.Options{
		Name:   "hello",
		Listen: []string{"8080"},
		Log:    slog.Default(),
	})
	if err != nil {
		return err
	}
	defer h.Close()

	server := &http.Server{Handler: http.HandlerFunc(hello)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(h.Listener()) }()
	if err := h.Ready(ctx); err != nil {
		return err
	}
	select {
	case err := <-served:
		return err
	case <-h.Done(): // a newer version serves, and nobody is left here
	case <-ctx.Done(): // asked to end: lead clients elsewhere first
		leave(h)
	}
	if err := server.Shutdown(context.Background()); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// leave ends without losing a connection, for which it takes half a minute at
// most.
func leave(h *switcheroo.Handover) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := h.Withdraw(ctx); err != nil {
		slog.Warn("clients still come", "error", err)
	}
	if err := h.Drain(ctx); err != nil {
		slog.Warn("connections are left", "error", err)
	}
}

// hello answers with the name of the directory that the program lies in: v1.
func hello(w http.ResponseWriter, _ *http.Request) {
	version := filepath.Base(filepath.Dir(os.Args[0]))
	w.Header().Set("Version", version)
	fmt.Fprintln(w, version)
}
