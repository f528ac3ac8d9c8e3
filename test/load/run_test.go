package load

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

// server starts a server of test/server and returns its port.
func server(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), host.Build(t, "../server"), append([]string{"-notify=false"}, args...)...)
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(strings.TrimSpace(strings.TrimPrefix(line, "listening on ")))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// A server that does its work makes no failure, whatever its manner.
func TestServers(t *testing.T) {
	for _, mode := range []string{"quick", "slow-accept", "abrupt", "resetting"} {
		t.Run(mode, func(t *testing.T) {
			port := server(t, "-mode", mode, "-version", "v3")
			ticks := 0
			config := Config{
				Targets: []string{"127.0.0.1:" + port, "[::1]:" + port, "localhost:" + port},
				Short:   4, KeepAlive: 4, Streams: 2, StreamFor: 300 * time.Millisecond,
				Echo: 1, TLS: 1, WebSocket: 1, HTTP2: 1, Requests: 10,
				Duration: 1500 * time.Millisecond, SlowConnect: -1, Samples: true,
				// Most come back several times.
				SourcePorts: PortRange{22000, 22499},
			}
			kinds := Kinds
			if mode == "resetting" { // it spares all but HTTP/1.1 without TLS
				config.Echo, config.TLS, config.HTTP2 = 0, 0, 0
				kinds = []Kind{Short, KeepAlive, Stream, WebSocket}
			}
			r, err := Run(t.Context(), config, func(*Result) { ticks++ })
			if err != nil {
				t.Fatal(err)
			}
			r.Table(t.Output())
			if err := r.Valid(); err != nil {
				t.Error(err)
			}
			for _, f := range r.Failures {
				t.Error(f)
			}
			total := r.Total()
			for _, k := range kinds {
				if r.Kinds[k].Requests == 0 {
					t.Errorf("no %s request was answered", k)
				}
			}
			if total.Versions["v3"] != total.Requests || len(total.Versions) != 1 {
				t.Errorf("%d requests, served by %v", total.Requests, total.Versions)
			}
			if n := int64(r.Samples.Len()); n != total.Requests {
				t.Errorf("%d samples of %d requests", n, total.Requests)
			}
			if ticks == 0 {
				t.Error("no report of progress")
			}
			switch mode {
			case "slow-accept":
				if limit := int64(r.Duration()/(50*time.Millisecond)) + 2 + 14; total.Connections > limit {
					t.Errorf("%d connections, at most %d can have been accepted or be waiting", total.Connections, limit)
				}
			case "resetting":
				// Of all connections, and those under way at the end got none.
				if want := total.Connections / 50; total.ServerResets < want-2 || total.ServerResets > want+2 {
					t.Errorf("the server reset %d of %d connections", total.ServerResets, total.Connections)
				}
			default:
				if total.Connections < 200 {
					t.Errorf("%d connections: source ports were not used twice", total.Connections)
				}
			}
		})
	}
}

func TestServerThatDies(t *testing.T) {
	port := server(t, "-mode", "dies-after", "-die-after", "500ms")
	r, err := Run(t.Context(), Config{Targets: []string{"127.0.0.1:" + port}, Short: 2, KeepAlive: 2, Streams: 1, Duration: time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	total := r.Total()
	if total.Failures[Refused] == 0 || total.Requests == 0 {
		t.Errorf("%d requests, failures %v", total.Requests, total.Failures)
	}
	if r.Kinds[Stream].Requests != 0 {
		t.Error("a stream came to its end")
	}
	for i, f := range r.Failures {
		if i > 0 && f.Time < r.Failures[i-1].Time {
			t.Errorf("failures out of order: %s after %s", f, r.Failures[i-1])
		}
	}
}

// Stopping is no failure: requests under way are finished.
func TestStop(t *testing.T) {
	port := server(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	begin := time.Now()
	r, err := Run(ctx, Config{Targets: []string{"127.0.0.1:" + port}, Short: 2, KeepAlive: 4, Streams: 2, StreamFor: time.Second, Duration: time.Minute, SlowConnect: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < time.Second || took > 20*time.Second {
		t.Errorf("it took %v, and the streams a second", took)
	}
	if r.Failed() != 0 || r.Kinds[Stream].Requests != 2 {
		t.Errorf("%d streams, failures %v", r.Kinds[Stream].Requests, r.Failures)
	}
}

func TestRate(t *testing.T) {
	port := server(t)
	r, err := Run(t.Context(), Config{Targets: []string{"127.0.0.1:" + port}, Short: 8, Rate: 100, Duration: time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Kinds[Short].Connections; n > 101 || n < 30 { // fewer if the machine is busy
		t.Errorf("%d connections in a second, of 100", n)
	}
}

func TestConfig(t *testing.T) {
	good := Config{Targets: []string{"127.0.0.1:1"}, Short: 1, Duration: time.Second}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no target":      {func(c *Config) { c.Targets = nil }, "no target"},
		"no port":        {func(c *Config) { c.Targets = []string{"127.0.0.1"} }, "missing port"},
		"no clients":     {func(c *Config) { c.Short = 0 }, "no clients"},
		"no duration":    {func(c *Config) { c.Duration = 0 }, "duration"},
		"long duration":  {func(c *Config) { c.Duration = MaxDuration + 1 }, "duration"},
		"negative":       {func(c *Config) { c.KeepAlive = -1 }, "negative"},
		"negative echo":  {func(c *Config) { c.Echo = -1 }, "negative"},
		"negative time":  {func(c *Config) { c.Timeout = -1 }, "negative"},
		"negative pause": {func(c *Config) { c.Pause = -1 }, "negative"},
		"a protocol":     {func(c *Config) { c.Protocol = "gopher" }, "gopher"},
		"too few ports":  {func(c *Config) { c.Short, c.SourcePorts = 3, PortRange{1000, 1001} }, "too few"},
		"unknown target": {func(c *Config) { c.Targets = []string{"127.0.0.1:http"} }, "invalid syntax"},
	} {
		bad := good
		c.change(&bad)
		if r, err := Run(t.Context(), bad, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}

func TestPortRange(t *testing.T) {
	for s, want := range map[string]int{
		"20000-21999": 2000, "1-1": 1, "1-65535": 65535,
		"": 0, "0-5": 0, "5-4": 0, "20000": 0, "1-65536": 0, "a-b": 0, "1-2-3": 0,
	} {
		r, err := ParsePortRange(s)
		if (err == nil) != (want > 0) || r.Len() != want {
			t.Errorf("%q: %v (%d), %v", s, r, r.Len(), err)
		}
		if err == nil && r.String() != s {
			t.Errorf("%q is printed as %q", s, r)
		}
	}
}

func TestSession(t *testing.T) {
	port := server(t, "-version", "v5")
	s, err := Dial(t.Context(), "127.0.0.1:"+port, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 3 {
		if v, err := s.Request(i == 2); v != "v5" || err != nil {
			t.Errorf("request %d: %q, %v", i, v, err)
		}
	}
	var f Failure
	if _, err := s.Request(false); !errors.As(err, &f) || f.Request != 4 || f.Version != "v5" {
		t.Errorf("a request on a closed connection: %v", err)
	}
}
