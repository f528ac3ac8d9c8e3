package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// switches is how many deploys a kind of server gets: few in every run, more
// in "make loss".
func switches(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("SWITCHEROO_SWITCHES"))
	if os.Getenv("SWITCHEROO_SWITCHES") == "" {
		return 25
	}
	if err != nil || n < 1 {
		t.Fatalf("SWITCHEROO_SWITCHES=%q: want a number above 0", os.Getenv("SWITCHEROO_SWITCHES"))
	}
	return n
}

// The promise: a switch under load loses nothing, whatever the server is like.
// Clients on another host and on the same one, by both families, with source
// ports that come back within seconds; deploys follow one another while older
// ones still drain.
func TestLoss(t *testing.T) {
	kinds := []struct {
		mode string
		on   backend
	}{{"quick", nft}, {"slow-accept", nft}, {"abrupt", legacy}, {"resetting", legacy}}
	for _, k := range kinds {
		t.Run(k.mode, func(t *testing.T) {
			s := setWith(t, k.on, keys("StandbySec=0", "DrainSec=2min", "ProbeTimeoutSec=30s"), map[string]string{
				"/etc/systemd/system/myapp@.service.d/mode.conf": "[Service]\nEnvironment=\"ARGS=-mode " + k.mode + "\"\n",
			})
			// Room for what the slow one lets queue up; the server reads it.
			s.do("echo 4096 >/proc/sys/net/core/somaxconn")
			s.deploy("v0")
			// The slow one takes 20 connections a second when it gets the
			// processor on time, so the last of 72 waits 3.6 s; on a machine
			// with a third of the time to spare it would wait ten.
			timeout := 10 * time.Second
			if k.mode == "slow-accept" {
				timeout = time.Minute
			}
			stop := s.load(load.Config{
				Short: 16, KeepAlive: 16, Requests: 20, Streams: 4, StreamFor: 2 * time.Second, Timeout: timeout,
				Duration: 10 * time.Minute, SourcePorts: load.PortRange{First: 20000, Last: 23999},
			},
				[]string{"127.0.0.1:8080", "[::1]:8080", server4 + ":8080"},
				[]string{server4 + ":8080", "[" + server6 + "]:8080"})
			n := switches(t)
			overlaps := 0
			for i := 1; i <= n; i++ {
				unit := fmt.Sprintf("myapp@v%d.service", i)
				s.start(unit)
				s.log("switched", "to="+unit)
				if len(s.state().Services["myapp"].Old) > 1 {
					overlaps++
				}
			}
			s.within(time.Minute, "the old ones have drained", func() error {
				if old := s.state().Services["myapp"].Old; len(old) > 0 {
					return fmt.Errorf("%d are left", len(old))
				}
				return nil
			})
			result := stop()
			var table strings.Builder
			if err := result.Table(&table); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d switches of a %s server with %s, %d of them with more than one old version draining\n%s", n, k.mode, k.on, overlaps, table.String())
			if lost := result.Failed(); lost > 0 {
				t.Errorf("%d were lost, the first:", lost)
				for _, f := range result.Failures[:min(10, len(result.Failures))] {
					t.Log(f)
				}
			}
			if served := len(result.Total().Versions); served < n {
				t.Errorf("only %d versions of %d were seen", served, n)
			}
			if k.mode == "resetting" && result.Total().ServerResets == 0 {
				t.Error("the server reset nothing: the test shows nothing")
			}
		})
	}
}
