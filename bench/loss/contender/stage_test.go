package contender

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

func TestMain(m *testing.M) { os.Exit(host.Main(m)) }

// inside is where swload is on the servers' host.
const inside = "/opt/bench/load"

// stage is an arena in which a contender has services.
type stage struct {
	testing.TB
	*arena.Arena
	contender Contender
	services  []Service
	swload    string // its path outside of hosts
}

// kind returns a kind of server.
func kind(t testing.TB, name string) server.Kind {
	t.Helper()
	k, err := server.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// open boots the hosts and starts the first versions of n services.
func open(t testing.TB, c Contender, k server.Kind, n int) *stage {
	t.Helper()
	s := &stage{TB: t, contender: c, swload: host.Build(t, "github.com/switcheroo/switcheroo/test/load/cmd/swload")}
	for i := range n {
		s.services = append(s.services, Service{Name: fmt.Sprint("s", i+1), Kind: k, Port: uint16(8081 + i)})
	}
	if err := c.Supports(k); err != nil {
		t.Fatal(err)
	}
	p, err := c.Prepare(s.services)
	if err != nil {
		t.Fatal(err)
	}
	binds := map[string]string{inside: s.swload}
	for path, b := range p.Binds {
		binds[path] = b.Path
		if b.Package != "" {
			binds[path] = host.Build(t, b.Package)
		}
	}
	s.Arena = &arena.Arena{Host: host.Start(t, host.Options{Files: p.Files, Binds: binds})}
	network := host.StartNetwork(t)
	if err := network.Join(t.Context(), s.Host, arena.Server4+"/24", arena.Server6+"/64"); err != nil {
		t.Fatal(err)
	}
	s.Client = network.StartClient(t, arena.Client4+"/24", arena.Client6+"/64")
	p.Sysctl["net.core.somaxconn"] = "4096"
	for name, value := range p.Sysctl {
		path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
		if _, err := s.Host.Run(t.Context(), "sh", "-c", "echo "+value+" >"+path); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range p.Units {
		if _, err := s.Host.Systemctl(t.Context(), "start", u); err != nil {
			t.Fatal(err)
		}
	}
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
		for _, at := range []struct {
			guest  interface{ load.Guest }
			binary string
			addrs  []string
		}{
			{s.Client, s.swload, []string{arena.Server4, "[" + arena.Server6 + "]"}},
			{s.Host, inside, []string{"127.0.0.1", "[::1]", arena.Server4, "[" + arena.Server6 + "]"}},
		} {
			for _, addr := range at.addrs {
				target := fmt.Sprintf("%s:%d", addr, v.Port)
				out, err := at.guest.Cmd(s.Context(), at.binary, "once", "-timeout=5s", target).CombinedOutput()
				if got := strings.TrimSpace(string(out)); err != nil || got != versionName(version) {
					return fmt.Errorf("from %s, %s of %s is served by %q (%v), want %s", at.guest.Name(), target, v.Name, got, err, versionName(version))
				}
			}
		}
		return nil
	})
}

// onHost runs a shell command on the servers' host and returns its lines.
func (s *stage) onHost(command string) []string {
	s.Helper()
	out, err := s.Host.Run(s.Context(), "sh", "-c", command)
	if err != nil {
		s.Fatal(err)
	}
	return strings.Fields(out)
}
