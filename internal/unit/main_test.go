package unit

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/test/host"
)

// watchEnv makes the test binary a program that watches and prints, for tests
// that need a watcher inside the host: systemd lets nobody from outside its
// PID namespace use the private socket.
const watchEnv = "UNIT_TEST_WATCH"

func TestMain(m *testing.M) {
	if os.Getenv(watchEnv) != "" {
		watchAndPrint()
		return
	}
	os.Exit(host.Main(m))
}

// watchAndPrint prints each event as a line of JSON until SIGTERM.
func watchAndPrint() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	c := New(Options{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	defer c.Close()
	events := make(chan Event)
	go func() {
		defer close(events)
		c.Run(ctx, events)
	}()
	out := json.NewEncoder(os.Stdout)
	for e := range events {
		out.Encode(e)
	}
}
