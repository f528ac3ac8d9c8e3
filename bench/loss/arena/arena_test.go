package arena

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/server"
	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

func TestMain(m *testing.M) { os.Exit(host.Main(m)) }

const unit = `[Service]
Type=notify
ExecStart=/opt/test/server -version v7 -listen [::]:8080
`

func TestArena(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip(host.Check(""))
	}
	a, err := Open(t.Context(), Options{
		Files: map[string]string{"/etc/systemd/system/test.service": unit},
		Binds: map[string]server.Build{
			"/opt/test/server": {Package: "github.com/switcheroo/switcheroo/test/server"},
			"/opt/test/true":   {Path: "/bin/true"},
		},
		Sysctl: map[string]string{"net.ipv4.tcp_migrate_req": "1"},
		Units:  []string{"test.service"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	if out, err := a.Host.Run(t.Context(), "/opt/test/true"); err != nil {
		t.Errorf("a program by its path: %v: %s", err, out)
	}
	// somaxconn bounds the servers' backlogs.
	if got, err := a.Host.Run(t.Context(), "sysctl", "-n", "net.ipv4.tcp_migrate_req", "net.core.somaxconn"); err != nil || got != "1\n4096\n" {
		t.Errorf("sysctl says %q, %v", got, err)
	}
	// What Debian's packages have enabled on this machine is not started.
	for _, name := range []string{"nginx", "redis-server", "haproxy"} {
		if state, err := a.Host.Property(t.Context(), name, "ActiveState"); err != nil || state != "inactive" {
			t.Errorf("%s is %s, %v", name, state, err)
		}
	}

	// Clients in both places reach it at every address, and come from few ports.
	l, err := a.Load(t.Context(), load.Config{KeepAlive: 6, Requests: 2, SlowConnect: -1}, 8080)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := l.Running(ctx); err != nil {
		t.Fatal(err)
	}
	out, err := a.Host.Run(ctx, "ss", "-Htan", "sport = :8080")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"127.0.0.1]:20", "[::1]:20", Server4 + "]:20", Client4 + "]:20", "[" + Client6 + "]:20"} {
		if !strings.Contains(out, want) {
			t.Errorf("no client of %q:\n%s", want, out)
		}
	}
	r, err := l.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Kinds[load.KeepAlive]; r.Failed() > 0 || c.Requests == 0 || c.Versions["v7"] != c.Requests {
		t.Errorf("%d failures, %d requests, served by %v: %v", r.Failed(), c.Requests, c.Versions, r.Failures)
	}

	// Clients that are gone before they are told to have not seen it all.
	l, err = a.Load(t.Context(), load.Config{Short: 1, Rate: 10, Duration: 100 * time.Millisecond, SlowConnect: -1}, 8080)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range l.places {
		if _, err := r.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Stop(); err == nil || !strings.Contains(err.Error(), "ended by themselves") {
		t.Errorf("clients that had ended: %v", err)
	}

	before, err := a.Counters(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Client.Run(ctx, "bash", "-c", "exec 3<>/dev/tcp/"+Server4+"/9"); err == nil {
		t.Error("somebody listens on port 9")
	}
	after, err := a.Counters(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := after["tcp.OutRsts"] - before["tcp.OutRsts"]; got != 1 {
		t.Errorf("a refusal is %d resets", got)
	}
	for _, name := range []string{"tcp.ListenOverflows", "tcp.ListenDrops", "tcp.AttemptFails", "conntrack.insert_failed", "conntrack.clashres"} {
		if _, ok := after[name]; !ok {
			t.Errorf("there is no counter %s", name)
		}
	}
}

func TestOpenSaysWhatFails(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip(host.Check(""))
	}
	for name, c := range map[string]struct {
		options Options
		want    string
	}{
		"no such unit":    {Options{Units: []string{"nothing.service"}}, "nothing.service not found"},
		"no such sysctl":  {Options{Sysctl: map[string]string{"net.nothing": "1"}}, "net.nothing"},
		"no such program": {Options{Binds: map[string]server.Build{"/x": {Path: "/nothing"}}}, "/nothing"},
		"no such package": {Options{Binds: map[string]server.Build{"/x": {Package: "./nothing"}}}, "nothing"},
		"both":            {Options{Binds: map[string]server.Build{"/x": {Path: "/x", Package: "x"}}}, "not both"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := Open(t.Context(), c.options)
			if err == nil {
				a.Close()
				t.Fatal("it opens")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %v", err)
			}
		})
	}
}

func TestParseCounters(t *testing.T) {
	got := map[string]int64{}
	if err := parseCounters("Ip: Forwarding\nIp: 1\nTcp: MaxConn OutRsts\nTcp: -1 7\nTcpExt: ListenDrops Other\nTcpExt: 3 4\n", got); err != nil {
		t.Error(err)
	}
	if err := parseConntrack("entries  clashres drop\n0a 01 02\n0b 0f 10\n", got); err != nil {
		t.Error(err)
	}
	if len(got) != 4 || got["tcp.OutRsts"] != 7 || got["tcp.ListenDrops"] != 3 || got["conntrack.clashres"] != 16 || got["conntrack.drop"] != 18 {
		t.Errorf("got %v", got)
	}
	for _, text := range []string{"Tcp: OutRsts\nTcpExt: 1\n", "Tcp: OutRsts\nTcp:\n", "Tcp: OutRsts\nTcp: x\n"} {
		if err := parseCounters(text, got); err == nil {
			t.Errorf("%q is fine", text)
		}
	}
	for _, text := range []string{"a b\n1\n", "drop\nx\n"} {
		if err := parseConntrack(text, got); err == nil {
			t.Errorf("%q is fine", text)
		}
	}
}

// Every port comes back within seconds to the address that it was at, and there
// is one for each client of any server's load.
func TestSourcePorts(t *testing.T) {
	for rate, want := range map[int]int{0: 1000, 1: 60, 30: 60, 100: 60, 150: 120, 200: 180, 5000: 1000} {
		if got := sourcePorts(load.Config{Rate: rate}); got != want {
			t.Errorf("%d ports at %d connections a second, want %d", got, rate, want)
		}
	}
	for _, k := range server.All() {
		l := k.Load
		n := l.Short + l.KeepAlive + l.Streams + l.Echo + l.TLS + l.WebSocket + l.HTTP2
		if ports := sourcePorts(l); ports < n || ports > 2*l.Rate && ports > fewSources {
			t.Errorf("%s: %d ports for %d clients, %d connections a second", k.Name, ports, n, l.Rate)
		}
	}
}
