package switcheroo_test

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo"
)

// The number of a port for another process, which nobody else takes meanwhile.
func TestPortOnly(t *testing.T) {
	ctx := t.Context()
	open := func(name string) (*switcheroo.Handover, error) {
		return switcheroo.Listen(ctx, switcheroo.Options{
			Name: name, Listen: []string{"18080"}, PortMin: 61700, PortMax: 61701, PortOnly: true,
			Standby: -1, ProbeTimeout: 300 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
		})
	}
	a, err := open("port-only-a")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := open("port-only-b")
	if err != nil {
		t.Fatal(err)
	}
	if a.Listener() != nil || a.Port() == b.Port() {
		t.Errorf("ports %d and %d", a.Port(), b.Port())
	}
	if _, err := open("port-only-c"); err == nil || !strings.Contains(err.Error(), "no free private port") {
		t.Errorf("a third: %v", err)
	}
	if err := a.Ready(ctx); err == nil || !strings.Contains(err.Error(), "nothing listens on it") {
		t.Errorf("ready without a listener: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", a.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	if err := a.Ready(ctx); err == nil || !strings.Contains(err.Error(), "listens on 127.0.0.1") {
		t.Errorf("ready with a listener on loopback alone: %v", err)
	}
}

// Who has withdrawn gets no traffic any more.
func TestReadyAfterWithdraw(t *testing.T) {
	h, err := switcheroo.Listen(t.Context(), switcheroo.Options{Name: "withdrawn", Listen: []string{"18081"}, Probe: "none"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Withdraw(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "withdrawn already") {
		t.Errorf("ready: %v", err)
	}
}
