// Package cli proves what the command line promises, as sessions of a shell on
// hosts with a real systemd and daemon.
package cli

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/test/host"
)

func TestMain(m *testing.M) { os.Exit(host.Main(m)) }

// template is the unit that the sessions deploy. What differs is in drop-ins.
const template = `[Unit]
Wants=switcherood.service
After=switcherood.service

[Service]
Type=notify
DynamicUser=yes
Environment=ARGS=
ExecStart=/opt/myapp/server -version %i $ARGS
TimeoutStartSec=20s

[X-Switcheroo]
Listen=8080
StandbySec=2min

[Install]
WantedBy=multi-user.target
`

// inside is where this test's own program is on a host.
const inside = "/opt/test/sessions"

// files are on every host.
func files(t testing.TB) map[string]string {
	all := map[string]string{
		"/etc/systemd/system/switcherood.service": packaged(t, "packaging/systemd/switcherood.service"),
		"/etc/systemd/system/myapp@.service":      template,
		"/etc/systemd/system/switcherood.socket":  packaged(t, "packaging/systemd/switcherood.socket"),
		"/etc/systemd/system/web@.service": strings.NewReplacer(
			"Listen=8080", "Listen=http=8081\nListen=https=8082\nPort=http=200%i https=201%i\nDrainSec=1h\nScope=localhost",
			"Environment=ARGS=", `Environment="ARGS=-listen [::]:200%i -listen [::]:201%i"`).Replace(template),
	}
	for version, dropIn := range map[string]string{
		"exits": "[Service]\nExecStart=\nExecStart=/bin/sh -c 'echo cannot open the configuration; exit 3'\n",
		"deaf":  "[Service]\nType=simple\nExecStart=\nExecStart=/bin/sh -c 'echo where is my port; exec sleep 1000'\n[X-Switcheroo]\nProbeTimeoutSec=1\n",
		"dies":  "[Service]\nEnvironment=\"ARGS=-die-after=1500ms\"\n",
		"slow":  "[Service]\nEnvironment=\"ARGS=-ready-after=4s\"\n",
		"quick": "[X-Switcheroo]\nStandbySec=0\n",
		"brief": "[X-Switcheroo]\nStandbySec=0\nDrainSec=1\n",
	} {
		all["/etc/systemd/system/myapp@"+version+".service.d/test.conf"] = dropIn
	}
	return all
}

// start boots a host with the daemon running.
func start(t testing.TB, more map[string]string) *host.Host {
	t.Helper()
	all := files(t)
	maps.Copy(all, more)
	h := host.Start(t, host.Options{Files: all, Binds: map[string]string{
		"/usr/sbin/switcherood": host.Build(t, "github.com/switcheroo/switcheroo/cmd/switcherood"),
		"/usr/bin/switcheroo":   host.Build(t, "github.com/switcheroo/switcheroo/cmd/switcheroo"),
		"/opt/myapp/server":     host.Build(t, "github.com/switcheroo/switcheroo/test/server"),
		inside:                  executable(t),
		"/opt/test/script":      absolute(t, "testdata/script"),
		"/opt/test/docs":        absolute(t, "../../docs"),
	}})
	if _, err := h.Systemctl(t.Context(), "start", "switcherood"); err != nil {
		t.Fatal(err)
	}
	return h
}

func executable(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func absolute(t testing.TB, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
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
