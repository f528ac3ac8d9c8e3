package unit

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/test/host"
)

// What lies between an app's READY=1 and the event; and, for comparison, the
// bare signal taken from another connection at the same time.
func BenchmarkReady(b *testing.B) {
	h := host.Start(b, host.Options{
		Files: map[string]string{"/etc/systemd/system/web@.service": template("Type=notify", "ExecStartPre=/bin/sleep 0.05", "ExecStart=/app -stamp /run/%n.stamp")},
		Binds: map[string]string{"/app": host.Build(b, "./testdata/app")},
	})
	c := New(Options{Root: root(h)})
	defer c.Close()
	ctx, cancel := context.WithCancel(b.Context())
	events := make(chan Event, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx, events)
	}()
	defer func() { cancel(); <-done }()
	await := func(wanted func(Event) bool) {
		b.Helper()
		timeout := time.After(20 * time.Second)
		for {
			select {
			case e := <-events:
				if wanted(e) {
					return
				}
			case <-timeout:
				b.Fatal("no such event")
			}
		}
	}
	await(func(e Event) bool { return e.Kind == Resync })

	bare, err := c.open(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer bare.close()
	signals := make(chan *dbus.Signal, 1000)
	bare.conn.Signal(signals)
	if err := bare.match(ctx, "member='PropertiesChanged',arg0='"+unitIface+"'"); err != nil {
		b.Fatal(err)
	}
	signalled := make(chan time.Duration, 1000)
	go func() {
		last := dbus.ObjectPath("")
		for s := range signals {
			if !isService(s.Path) || s.Path == last {
				continue
			}
			if values := s.Body[1].(map[string]dbus.Variant); values["ActiveState"].Value() == "active" {
				last = s.Path
				signalled <- monotonic()
			}
		}
	}()

	var event, signal []time.Duration
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprintf("web@%d.service", i)
		if err := c.manager(ctx, "StartUnit", []any{name, "replace"}, new(dbus.ObjectPath)); err != nil {
			b.Fatal(err)
		}
		var now time.Duration
		await(func(e Event) bool {
			now = monotonic()
			return e.Kind == Changed && e.Unit.Name == name && e.Unit.Active == "active"
		})
		// The app writes it after it has said so.
		var stamp int64
		for stamp == 0 {
			text, _ := h.ReadFile("/run/" + name + ".stamp")
			stamp, _ = strconv.ParseInt(text, 10, 64)
		}
		event = append(event, now-time.Duration(stamp))
		signal = append(signal, <-signalled-time.Duration(stamp))
		if err := c.Stop(ctx, name); err != nil {
			b.Fatal(err)
		}
		await(func(e Event) bool { return e.Kind == Gone && e.Name == name })
	}
	for name, all := range map[string][]time.Duration{"event": event, "signal": signal} {
		slices.Sort(all)
		ms := func(q int) float64 { return float64(all[(len(all)-1)*q/100].Microseconds()) / 1000 }
		b.ReportMetric(ms(50), name+"-p50-ms")
		b.ReportMetric(ms(99), name+"-p99-ms")
	}
}

// A read of one unit, as before and after a switch.
func BenchmarkStatus(b *testing.B) {
	h := host.Start(b, host.Options{Files: map[string]string{"/etc/systemd/system/web@.service": template("ExecStart=/bin/sleep 1000")}})
	if _, err := h.Systemctl(b.Context(), "start", "web@1"); err != nil {
		b.Fatal(err)
	}
	c := New(Options{Root: root(h)})
	defer c.Close()
	for b.Loop() {
		if u, err := c.Status(b.Context(), "web@1.service"); err != nil || u.Active != "active" {
			b.Fatal(u, err)
		}
	}
}

func monotonic() time.Duration {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return time.Duration(now.Nano())
}
