// Package e2e proves the promise on real parts: systemd, D-Bus, netfilter,
// servers and clients, each on hosts of the test's own.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

func TestMain(m *testing.M) { os.Exit(host.Main(m)) }

// The addresses of the host under test and of the host that dials it.
const (
	server4   = "10.9.0.1"
	server6   = "fd00:9::1"
	second4   = "10.9.0.3" // a secondary address of the server
	client4   = "10.9.0.2"
	client6   = "fd00:9::2"
	localhost = "127.0.0.1"
)

// template is the unit that most tests deploy. What differs is in drop-ins.
const template = `[Unit]
Wants=switcherood.service
After=switcherood.service

[Service]
Type=notify
DynamicUser=yes
Environment=ARGS=
ExecStart=/opt/myapp/server -version %i $ARGS
TimeoutStartSec=5s
TimeoutStopSec=10s

[X-Switcheroo]
Listen=8080
StandbySec=300ms

[Install]
WantedBy=multi-user.target
`

// stage is one host with switcherood running, and another that dials it.
type stage struct {
	testing.TB
	host   *host.Host
	client *host.Client
	swload string // its path outside of hosts
}

// backend is the iptables that a test's host uses.
type backend string

const (
	nft    backend = "iptables-nft"
	legacy backend = "iptables-legacy"
)

// set opens a stage; files are put on the host before it boots.
func set(t testing.TB, files ...map[string]string) *stage { return setWith(t, nft, files...) }

func setWith(t testing.TB, b backend, files ...map[string]string) *stage {
	t.Helper()
	return open(t, b, nil, files...)
}

// open boots the hosts. binds are programs to put on the one under test beside
// those that every test has.
func open(t testing.TB, b backend, binds map[string]string, files ...map[string]string) *stage {
	t.Helper()
	all := map[string]string{
		"/etc/systemd/system/switcherood.service": packaged(t, "packaging/systemd/switcherood.service"),
		"/etc/systemd/system/myapp@.service":      template,
		"/etc/switcheroo/switcherood.conf":        "[Switcherood]\nBackend=" + string(b) + "\nLogLevel=debug\n",
	}
	for _, more := range files {
		maps.Copy(all, more)
	}
	s := &stage{TB: t, swload: host.Build(t, "github.com/switcheroo/switcheroo/test/load/cmd/swload")}
	programs := map[string]string{
		"/usr/sbin/switcherood": host.Build(t, "github.com/switcheroo/switcheroo/cmd/switcherood"),
		"/opt/myapp/server":     host.Build(t, "github.com/switcheroo/switcheroo/test/server"),
		inside:                  s.swload,
	}
	maps.Copy(programs, binds)
	s.host = host.Start(t, host.Options{Files: all, Binds: programs})
	network := host.StartNetwork(t)
	if err := network.Join(t.Context(), s.host, server4+"/24", server6+"/64", second4+"/24"); err != nil {
		t.Fatal(err)
	}
	s.client = network.StartClient(t, client4+"/24", client6+"/64")
	s.start("switcherood")
	return s
}

// packaged reads a file of the repository.
func packaged(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// instance is a drop-in for one instance of myapp.
func instance(version, dropIn string) map[string]string {
	return map[string]string{"/etc/systemd/system/myapp@" + version + ".service.d/test.conf": dropIn}
}

// args is a drop-in that gives the server of one instance arguments.
func args(version, args string) map[string]string {
	return instance(version, fmt.Sprintf("[Service]\nEnvironment=\"ARGS=%s\"\n", args))
}

// keys is a drop-in with [X-Switcheroo] lines for all instances of myapp.
func keys(lines ...string) map[string]string {
	return map[string]string{"/etc/systemd/system/myapp@.service.d/keys.conf": "[X-Switcheroo]\n" + strings.Join(lines, "\n") + "\n"}
}

// write puts a file on the running host.
func (s *stage) write(files map[string]string) {
	s.Helper()
	for path, content := range files {
		if err := s.host.WriteFile(path, content); err != nil {
			s.Fatal(err)
		}
	}
}

func (s *stage) systemctl(args ...string) string {
	s.Helper()
	out, err := s.host.Systemctl(s.Context(), args...)
	if err != nil {
		s.Fatalf("systemctl %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(out)
}

// start starts units and waits until they are up.
func (s *stage) start(units ...string) {
	s.Helper()
	s.systemctl(append([]string{"start"}, units...)...)
}

// deploy starts an instance of myapp and waits until it serves everybody.
func (s *stage) deploy(version string) {
	s.Helper()
	s.start("myapp@" + version)
	s.served(version)
}

// served waits until the public port is served by version, from outside and
// from the host itself.
func (s *stage) served(version string) {
	s.Helper()
	s.eventually("served by "+version, func() error {
		for _, from := range []func(string) string{s.fromClient, s.fromHost} {
			// Each family has a commit of its own.
			for _, addr := range []string{server4 + ":8080", "[" + server6 + "]:8080"} {
				if got := from(addr); got != version {
					return fmt.Errorf("%s is served by %q", addr, got)
				}
			}
		}
		return nil
	})
}

// eventually waits until check returns nil.
func (s *stage) eventually(what string, check func() error) {
	s.Helper()
	s.within(15*time.Second, what, check)
}

func (s *stage) within(limit time.Duration, what string, check func() error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), limit)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("not within %s: %s: %v", limit, what, err)
		case <-time.After(tick):
		}
	}
}

// property returns a unit's property.
func (s *stage) property(unit, name string) string {
	s.Helper()
	v, err := s.host.Property(s.Context(), unit, name)
	if err != nil {
		s.Fatal(err)
	}
	return strings.TrimSpace(v)
}

// is waits until a unit's ActiveState is state.
func (s *stage) is(unit, state string) {
	s.Helper()
	s.eventually(unit+" is "+state, func() error {
		if got := s.property(unit, "ActiveState"); got != state {
			return fmt.Errorf("it is %s (%s)", got, s.property(unit, "SubState"))
		}
		return nil
	})
}

// log waits until the daemon's log has a line with all of words.
func (s *stage) log(words ...string) {
	s.Helper()
	s.eventually(fmt.Sprintf("the log says %q", words), func() error {
		text := s.journal()
		for line := range strings.Lines(text) {
			if containsAll(line, words) {
				return nil
			}
		}
		return fmt.Errorf("it says:\n%s", text)
	})
}

func (s *stage) journal() string {
	s.Helper()
	text, err := s.host.Journal(s.Context(), "switcherood.service")
	if err != nil {
		s.Fatal(err)
	}
	return text
}

func containsAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

// state reads what the daemon saved.
func (s *stage) state() (state struct {
	Services map[string]struct {
		Current *struct{ Unit string }
		Down    bool
		Old     []struct{ Unit string }
	}
}) {
	s.Helper()
	text, err := s.host.ReadFile("/run/switcheroo/state.json")
	if err != nil {
		s.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		s.Fatal(err)
	}
	return state
}
