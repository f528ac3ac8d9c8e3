package contender

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

func TestMain(m *testing.M) { os.Exit(host.Main(m)) }

// stage is an arena in which a contender has services.
type stage struct {
	testing.TB
	*arena.Arena
	contender Contender
	services  []Service
	swload    string // its path outside of hosts
}

// inside is its path on the servers' host.
const inside = "/opt/bench/clients"

// kind returns a kind of server.
func kind(t testing.TB, name string) server.Kind {
	t.Helper()
	k, err := server.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// open boots the hosts and starts the first version of a service of each kind.
func open(t testing.TB, c Contender, kinds ...server.Kind) *stage {
	t.Helper()
	s := &stage{TB: t, contender: c}
	for i, k := range kinds {
		if err := c.Supports(k); err != nil {
			t.Fatal(err)
		}
		s.services = append(s.services, Service{Name: fmt.Sprint("s", i+1), Kind: k, Port: uint16(8081 + i)})
	}
	p, err := c.Prepare(s.services)
	if err != nil {
		t.Fatal(err)
	}
	clients := server.Build{Package: "github.com/switcheroo/switcheroo/test/load/cmd/swload"}
	if s.swload, err = arena.Build(t.Context(), clients); err != nil {
		t.Fatal(err)
	}
	p.Binds[inside] = clients
	s.Arena, err = arena.Open(t.Context(), arena.Options{Files: p.Files, Binds: p.Binds, Sysctl: p.Sysctl, Units: p.Units})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			t.Log(s.Host.Diagnose(ctx))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	s.each(func(v Service) error { return c.Start(t.Context(), s.Arena, v, 0) })
	return s
}

// each calls f for all services at the same time.
func (s *stage) each(f func(Service) error) {
	s.Helper()
	var all errgroup.Group
	for _, v := range s.services {
		all.Go(func() error { return f(v) })
	}
	if err := all.Wait(); err != nil {
		s.Fatal(err)
	}
}

// to switches all services at the same time.
func (s *stage) to(version int) {
	s.Helper()
	s.each(func(v Service) error {
		t, err := s.contender.Switch(s.Context(), s.Arena, v, version)
		if err == nil && !t.Moved.After(t.Began) {
			err = fmt.Errorf("%s moved to version %d at %v, before %v", v.Name, version, t.Moved, t.Began)
		}
		return err
	})
}

// served checks who answers on all public ports, by both families, from the
// other host and from the host itself.
func (s *stage) served(version int) {
	s.Helper()
	s.each(func(v Service) error {
		if err := s.answers(s.Host, inside, v, version, "127.0.0.1", "::1", arena.Server4, arena.Server6); err != nil {
			return err
		}
		return s.answers(s.Client, s.swload, v, version, arena.Server4, arena.Server6)
	})
}

// answers makes one connection from a guest to each address, and checks which
// version answers.
func (s *stage) answers(guest load.Guest, swload string, v Service, version int, addrs ...string) error {
	c := load.Config{
		Protocol: v.Kind.Load.Protocol, Short: 1, Connections: int64(len(addrs)),
		Duration: time.Minute, Timeout: 5 * time.Second, SlowConnect: -1,
	}
	for _, addr := range addrs {
		c.Targets = append(c.Targets, net.JoinHostPort(addr, fmt.Sprint(v.Port)))
	}
	r, err := load.Start(s.Context(), guest, swload, c, nil)
	if err != nil {
		return err
	}
	result, err := r.Wait()
	if err != nil {
		return err
	}
	want := map[string]int64{versionName(version): int64(len(addrs))}
	if got := result.Total().Versions; !maps.Equal(got, want) {
		return fmt.Errorf("%s (%s) of %s is answered by %v, want %v: %v", v.Name, v.Kind.Name, guest.Name(), got, want, result.Failures)
	}
	return nil
}

// onHost runs a shell command on the servers' host and returns its words.
func (s *stage) onHost(command string) []string {
	s.Helper()
	out, err := s.Host.Run(s.Context(), "sh", "-c", command)
	if err != nil {
		s.Fatal(err)
	}
	return slices.Collect(strings.FieldsSeq(out))
}
