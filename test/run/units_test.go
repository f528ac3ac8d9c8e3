package run

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

// unit is an example as an instance of its template, under the daemon.
type unit struct {
	versions [2]string
	files    []string // of one version, in examples/NAME
	program  string   // Go package in examples that is one more
	port     string   // public
}

var units = map[string]unit{
	"go-http":    {versions: [2]string{"v1", "v2"}, program: "go-http", port: "8080"},
	"node":       {versions: [2]string{"v1", "v2"}, files: []string{"server.js"}, port: "8080"},
	"python":     {versions: [2]string{"v1", "v2"}, files: []string{"server.py"}, port: "8080"},
	"go-library": {versions: [2]string{"01", "02"}, program: "go-library", port: "8080"},
	"nginx":      {versions: [2]string{"01", "02"}, files: []string{"start", "nginx.conf"}, port: "8080"},
}

// standbySec keeps a test from waiting for the default of 10s.
const standbySec = "[X-Switcheroo]\nStandbySec=300ms\n"

// boot boots a machine with the daemon and the files of an example.
func boot(t *testing.T, name string, u unit) *stage {
	t.Helper()
	files := map[string]string{
		"/etc/systemd/system/switcherood.service":                  read(t, "../../packaging/systemd/switcherood.service"),
		"/etc/systemd/system/" + name + "@.service":                example(t, name+"/"+name+"@.service"),
		"/etc/systemd/system/" + name + "@.service.d/standby.conf": standbySec,
	}
	binds := map[string]string{"/usr/sbin/switcherood": host.Build(t, "github.com/switcheroo/switcheroo/cmd/switcherood")}
	if u.program != "" {
		program := host.Build(t, "github.com/switcheroo/switcheroo/examples/"+u.program)
		for _, v := range u.versions {
			binds["/opt/"+name+"/"+v+"/"+u.program] = program
		}
	}
	sockets, err := filepath.Glob("../../examples/" + name + "/*.socket")
	if err != nil {
		t.Fatal(err)
	}
	for _, socket := range sockets {
		files["/etc/systemd/system/"+filepath.Base(socket)] = read(t, socket)
	}
	for _, v := range u.versions {
		for _, f := range u.files {
			files["/opt/"+name+"/"+v+"/"+f] = example(t, name+"/"+f)
		}
	}
	return bootWith(t, files, binds)
}

// bootWith boots a machine with systemd, and makes a place that dials it.
func bootWith(t *testing.T, files, binds map[string]string) *stage {
	t.Helper()
	swload := host.Build(t, "github.com/switcheroo/switcheroo/test/load/cmd/swload")
	binds = maps.Clone(binds)
	binds[inside] = swload
	h := host.Start(t, host.Options{Files: files, Binds: binds})
	network := host.StartNetwork(t)
	if err := network.Join(t.Context(), h, server4+"/24", server6+"/64"); err != nil {
		t.Fatal(err)
	}
	return &stage{
		TB: t, machine: h, swload: swload,
		client: network.StartClient(t, client4+"/24", client6+"/64"),
	}
}

// inside is where swload is on a machine with systemd.
const inside = "/opt/swload"

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// deploy starts an instance and waits until new connections go to it.
func (s *stage) deploy(name, version, port string) {
	s.Helper()
	if _, err := s.machine.Systemctl(s.Context(), "start", name+"@"+version); err != nil {
		s.Fatal(err)
	}
	s.eventually(version+" answers", func() error {
		for _, target := range []string{server4 + ":" + port, "[" + server6 + "]:" + port} {
			out, err := s.client.Run(s.Context(), s.swload, "once", "-timeout=3s", target)
			if err != nil {
				return err
			}
			if got := strings.TrimSpace(out); got != version {
				return fmt.Errorf("%s is answered by %q", target, got)
			}
		}
		return nil
	})
}

// gone waits until an instance has stopped.
func (s *stage) gone(instance string) {
	s.Helper()
	s.eventually(instance+" has stopped", func() error {
		state, err := s.machine.Property(s.Context(), instance, "ActiveState")
		if err == nil && state != "inactive" {
			err = fmt.Errorf("it is %s", state)
		}
		return err
	})
}

// Each example's unit file, to the letter, and a deploy under load.
func TestExampleUnits(t *testing.T) {
	for name, u := range units {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := boot(t, name, u)
			one, two := u.versions[0], u.versions[1]
			s.deploy(name, one, u.port)
			stop := s.load(u.port, load.Config{Short: 4, Rate: 100, KeepAlive: 2})
			s.deploy(name, two, u.port)
			s.gone(name + "@" + one)
			s.nothingLost(stop(), one, two)
		})
	}
}

func TestRedisUnit(t *testing.T) {
	t.Parallel()
	s := boot(t, "redis", unit{versions: [2]string{"01", "02"}})
	start := func(version string) {
		t.Helper()
		if _, err := s.machine.Systemctl(t.Context(), "start", "redis@"+version); err != nil {
			t.Fatal(err)
		}
	}
	start("01")
	s.redisAnswers("61001")
	c := s.redisLoad("6379")
	start("02")
	s.gone("redis@01")
	c.stop()
	s.nothingLostByRedis(c, "61001", "61002")
}
