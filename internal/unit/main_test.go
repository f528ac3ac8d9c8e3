package unit

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/test/host"
)

// insideEnv makes the test binary a program for the inside of a host: systemd
// lets nobody from outside its PID namespace use the private socket.
const insideEnv = "UNIT_TEST_INSIDE"

func TestMain(m *testing.M) {
	switch os.Getenv(insideEnv) {
	case "watch":
		watchAndPrint()
	case "boot":
		printBootFinished()
	case "connect":
		connectPrivately()
	default:
		os.Exit(host.Main(m))
	}
}

// fatal ends the program inside.
func fatal(why any) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

// connectPrivately makes many connections to the private socket, and a call on
// each.
func connectPrivately() {
	c := New(Options{})
	for range 50 {
		b, err := openPrivate(context.Background(), c.private)
		if err != nil {
			fatal(err)
		}
		call := b.call(context.Background(), b.systemd(managerPath), managerIface+".GetUnit", "basic.target")
		if call.Err != nil {
			fatal(call.Err)
		}
		b.close()
	}
}

// printBootFinished prints what BootFinished returns.
func printBootFinished() {
	c := New(Options{})
	defer c.Close()
	at, err := c.BootFinished(context.Background())
	if err != nil {
		fatal(err)
	}
	fmt.Println(at)
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
	if at, err := c.BootFinished(ctx); err != nil || at == 0 {
		fatal(fmt.Sprintf("BootFinished = %v, %v", at, err))
	}
	out := json.NewEncoder(os.Stdout)
	for e := range events {
		out.Encode(e)
	}
}
