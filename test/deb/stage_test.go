package deb

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
	"github.com/switcheroo/switcheroo/test/load"
)

// The addresses of the host under test and of the one that dials it.
const (
	server4 = "10.9.0.1"
	server6 = "fd00:9::1"
	client4 = "10.9.0.2"
	client6 = "fd00:9::2"
)

// Where things are on the host under test.
const (
	debs   = "/opt/debs"
	tests  = "/opt/tests" // debian/tests
	swload = "/opt/load"
	server = "/opt/myapp/server"
)

// template is the unit that is deployed. Nothing in its name is the package's:
// a purge leaves it.
const template = `[Unit]
Wants=switcherood.service
After=switcherood.service

[Service]
Type=notify
DynamicUser=yes
ExecStart=/opt/myapp/server -version %i
TimeoutStopSec=10s

[X-Switcheroo]
Listen=8080
StandbySec=300ms
DrainSec=2min

[Install]
WantedBy=multi-user.target
`

// stage is a host that has the packages to install, and another that dials it.
type stage struct {
	testing.TB
	packages
	host   *host.Host
	client *host.Client
	swload string // its path outside of hosts
}

func set(t *testing.T, files map[string]string) *stage {
	t.Helper()
	p := built(t)
	s := &stage{TB: t, packages: p, swload: host.Build(t, "github.com/switcheroo/switcheroo/test/load/cmd/swload")}
	s.host = host.Start(t, host.Options{Files: files, Binds: map[string]string{
		debs:   p.dir,
		tests:  filepath.Join(root, "debian", "tests"),
		swload: s.swload,
		server: host.Build(t, "github.com/switcheroo/switcheroo/test/server"),
	}})
	// A machine that was made for containers starts no daemons at installation,
	// and leaves documentation out: this host is none of those. And to index all
	// of the machine's manual for each step takes time, and shows nothing.
	s.do("rm -f /usr/sbin/policy-rc.d /etc/dpkg/dpkg.cfg.d/* /var/lib/man-db/auto-update")
	return s
}

// deployed is a stage with the package installed, and v1 of the app in place.
func deployed(t *testing.T) *stage {
	t.Helper()
	s := set(t, map[string]string{"/etc/systemd/system/myapp@.service": template})
	s.join()
	s.step("install", there(s.old))
	s.step("deploy", "myapp@v1")
	return s
}

// join puts the host on a network with another one.
func (s *stage) join() {
	s.Helper()
	network := host.StartNetwork(s)
	if err := network.Join(s.Context(), s.host, server4+"/24", server6+"/64"); err != nil {
		s.Fatal(err)
	}
	s.client = network.StartClient(s, client4+"/24", client6+"/64")
}

// do runs a shell command on the host and returns what it printed.
func (s *stage) do(command string) string {
	s.Helper()
	out, err := s.host.Run(s.Context(), "sh", "-euc", command)
	if err != nil {
		s.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// step takes one of the steps of debian/tests, which checks what came of it.
func (s *stage) step(verb string, args ...string) {
	s.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(s.Context(), 3*time.Minute)
	defer cancel()
	out, err := s.host.Run(ctx, append([]string{tests + "/step", verb}, args...)...)
	if err != nil {
		s.Fatal(err)
	}
	s.Logf("%s %s (%.1f s): %s", verb, strings.Join(args, " "), time.Since(begun).Seconds(), said(out))
}

// said is what the package itself had to say while dpkg worked.
func said(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "switcheroo: ") {
			lines = append(lines, "\n\t"+strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "")
}

// there is the path on the host of one of the packages.
func there(deb string) string { return debs + "/" + filepath.Base(deb) }

// serves checks that version answers, from outside, over both families.
func (s *stage) serves(version string) {
	s.Helper()
	for _, addr := range []string{server4 + ":8080", "[" + server6 + "]:8080"} {
		out, err := s.client.Run(s.Context(), s.swload, "once", "-timeout=5s", addr)
		if got := strings.TrimSpace(out); err != nil || got != version {
			s.Fatalf("%s is served by %q, not %s: %v", addr, got, version, err)
		}
	}
}

// refuses checks that clients are refused, from outside, over both families.
func (s *stage) refuses() {
	s.Helper()
	for _, addr := range []string{server4 + ":8080", "[" + server6 + "]:8080"} {
		out, err := s.client.Run(s.Context(), s.swload, "once", "-timeout=5s", addr)
		if err == nil || !strings.Contains(out, string(load.Refused)) {
			s.Errorf("%s does not refuse: %q, %v", addr, out, err)
		}
	}
}

// load runs clients on the host and on the other one, until the returned
// function is called, which fails the test if they lost anything.
func (s *stage) load() (lostNothing func()) {
	s.Helper()
	c := load.Config{
		Short: 6, Rate: 150, KeepAlive: 4, Requests: 50, Pause: 2 * time.Millisecond, Streams: 3, StreamFor: 2 * time.Second,
		Duration: load.MaxDuration, SourcePorts: load.PortRange{First: 20000, Last: 20499}, SlowConnect: -1,
	}
	var remotes []*load.Remote
	for _, at := range []struct {
		guest   load.Guest
		binary  string
		targets []string
	}{
		{s.host, swload, []string{"127.0.0.1:8080", "[::1]:8080", server4 + ":8080"}},
		{s.client, s.swload, []string{server4 + ":8080", "[" + server6 + "]:8080"}},
	} {
		c.Targets = at.targets
		r, err := load.Start(s.Context(), at.guest, at.binary, c, nil)
		if err != nil {
			s.Fatal(err)
		}
		remotes = append(remotes, r)
	}
	for _, r := range remotes {
		if err := r.Running(s.Context()); err != nil {
			s.Fatal(err)
		}
	}
	return func() {
		s.Helper()
		var sum load.Result
		for _, r := range remotes {
			result, err := r.Stop()
			if err != nil {
				s.Fatal(err)
			}
			if err := result.Valid(); err != nil {
				s.Error(err)
			}
			sum.Merge(result)
		}
		var table strings.Builder
		if err := sum.Table(&table); err != nil {
			s.Fatal(err)
		}
		s.Logf("clients:\n%s", table.String())
		if lost := sum.Failed(); lost > 0 {
			s.Errorf("%d were lost, the first:", lost)
			for _, f := range sum.Failures[:min(10, len(sum.Failures))] {
				s.Log(f)
			}
		}
	}
}
