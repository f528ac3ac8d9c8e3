package load

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

// From a client on a network and on the host itself at once.
func TestRemote(t *testing.T) {
	swload, srv := host.Build(t, "./cmd/swload"), host.Build(t, "../server")
	network := host.StartNetwork(t)
	h := host.Start(t, host.Options{
		Binds: map[string]string{"/opt/swload": swload, "/opt/server": srv},
		Files: map[string]string{"/etc/systemd/system/app.service": "[Service]\nType=notify\nExecStart=/opt/server -listen [::]:8080 -version v4\n"},
	})
	if err := network.Join(t.Context(), h, "10.9.0.1/24", "fd00:9::1/64"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Systemctl(t.Context(), "start", "app"); err != nil {
		t.Fatal(err)
	}
	client := network.StartClient(t, "10.9.0.2/24", "fd00:9::2/64")
	config := Config{Short: 2, KeepAlive: 2, Streams: 1, Duration: time.Minute, SourcePorts: PortRange{20000, 20499},
		Echo: 1, TLS: 1, WebSocket: 1, HTTP2: 1, Pause: 5 * time.Millisecond, SlowConnect: -1, Samples: true}

	config.Targets = []string{"10.9.0.1:8080", "[fd00:9::1]:8080"}
	outside, err := Start(t.Context(), client, swload, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	config.Targets = []string{"localhost:8080"}
	inside, err := Start(t.Context(), h, "/opt/swload", config, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Remote{outside, inside} {
		if err := r.Running(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sum := &Result{}
	for _, r := range []*Remote{outside, inside} {
		result, err := r.Stop()
		if err != nil {
			t.Fatal(err)
		}
		if n := result.Total().Versions["v4"]; n == 0 || result.Kinds[Stream].Requests == 0 {
			t.Errorf("v4 answered %d times", n)
		}
		sum.Merge(result)
	}
	if total := sum.Total(); int64(sum.Samples.Len()) != total.Requests || sum.Seed == 0 {
		t.Errorf("%d samples of %d requests, seed %d", sum.Samples.Len(), total.Requests, sum.Seed)
	}
	sum.Table(t.Output())
	if err := sum.Valid(); err != nil || sum.Failed() > 0 {
		t.Errorf("%d failures (%v): %v", sum.Failed(), err, sum.Failures)
	}

	t.Run("errors are told", func(t *testing.T) {
		_, err := Start(t.Context(), client, swload, Config{}, nil)
		if err == nil || !strings.Contains(err.Error(), "no target") {
			t.Errorf("no config: %v", err)
		}
		config.Targets = []string{"10.9.0.1"}
		r, err := Start(t.Context(), client, swload, config, nil)
		if err == nil {
			_, err = r.Wait()
		}
		if err == nil || !strings.Contains(err.Error(), "missing port") {
			t.Errorf("a bad target: %v", err)
		}
		r, err = Start(t.Context(), client, "/nonexistent", config, nil)
		if err == nil {
			err = r.Running(context.Background())
		}
		if err == nil || !strings.Contains(err.Error(), "nonexistent") {
			t.Errorf("a bad binary: %v", err)
		}
	})
	t.Run("killed with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		config.Targets = []string{"10.9.0.1:8080"}
		r, err := Start(ctx, client, swload, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := r.Wait(); err == nil || !strings.Contains(fmt.Sprint(err), "killed") {
			t.Errorf("got %v", err)
		}
	})
}
