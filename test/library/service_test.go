package library

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo"
)

// What List says of a service with every kind of process, and what Cleanup
// leaves.
func TestListAndCleanup(t *testing.T) {
	each(t, func(s *stage) {
		old := s.start(s.original)
		old.says("ready")
		list := func() (lines []string) {
			s.Helper()
			out := s.do(s.app + " -list")
			for line := range strings.Lines(out) {
				lines = append(lines, strings.TrimSpace(line))
			}
			return lines
		}
		if diff := cmp.Diff([]string{"myapp [8080] scope 1", "port 40400 alive true current true told false"}, list()); diff != "" {
			s.Errorf("the original alone (-want +got):\n%s", diff)
		}
		s.deploy("v1", "-standby", "1h")
		s.deploy("b1", "-name", "b", "-port", "8081", "-scope", "2")
		s.deploy("v2", "-standby", "1h").signal(9)
		s.eventually("v1 has the traffic", func() bool { return s.version(server4+":8080") == "v1" })
		v3 := s.deploy("v3", "-standby", "1h", "-listen", "8080,"+server4+":8443")
		want := []string{
			"b [8081] scope 2", "port 40402 alive true current true told false",
			"myapp [8080 10.9.0.1:8443] scope 3", "port 40403 alive true current true told false",
			"port 40401 alive true current false told false", "port 40400 alive true current false told false",
		}
		s.eventually("the dead one is forgotten", func() bool { return len(list()) == len(want) })
		if diff := cmp.Diff(want, list()); diff != "" {
			s.Errorf("-want +got:\n%s", diff)
		}
		s.answers("v3", server4+":8080", server4+":8443")
		s.do(s.app + " -name myapp -cleanup")
		s.refused(server4 + ":8080")
		if rules := s.rules(); strings.Contains(rules, "ns=myapp") || !strings.Contains(rules, "ns=b") {
			s.Errorf("after the cleanup:\n%s", rules)
		}
		if tables := s.do("nft list tables"); strings.Count(tables, "switcheroo-") != 1 {
			s.Errorf("tables: %s", tables)
		}
		if !v3.runs() || !old.runs() {
			s.Error("a process has ended")
		}
		// And a new one begins anew.
		s.deploy("v4")
		s.answers("v4")
	})
}

// The number of a port for another process, which nobody else takes meanwhile.
func TestPortOnly(t *testing.T) {
	ctx := context.Background()
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
