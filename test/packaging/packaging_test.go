// Package packaging checks what is installed beside the daemon.
package packaging

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	root = "../.."
	unit = root + "/packaging/systemd/switcherood.service"
)

// exposure is what `systemd-analyze security` may say at most, times ten.
const exposure = "18"

func TestSandbox(t *testing.T) {
	out := run(t, "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+exposure, unit)
	for line := range strings.Lines(out) {
		if strings.Contains(line, "Overall exposure") {
			t.Log(strings.TrimSpace(line))
			return
		}
	}
	t.Errorf("systemd-analyze names no exposure:\n%s", out)
}

// TestUnitIsValid: systemd knows every key of the units. It also looks for the
// program, so a copy of the unit names one that exists.
func TestUnitIsValid(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	const program = "/usr/sbin/switcherood"
	if !strings.Contains(string(text), "ExecStart="+program+"\n") {
		t.Fatalf("%s does not start %s", unit, program)
	}
	socket, err := os.ReadFile(root + "/packaging/systemd/switcherood.socket")
	if err != nil {
		t.Fatal(err)
	}
	service, beside := filepath.Join(dir, "switcherood.service"), filepath.Join(dir, "switcherood.socket")
	for file, text := range map[string]string{service: strings.ReplaceAll(string(text), program, "/bin/true"), beside: string(socket)} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out := run(t, "systemd-analyze", "verify", "--man=no", service, beside); out != "" {
		t.Errorf("systemd-analyze verify is not silent:\n%s", out)
	}
}

// TestInstall: make install puts every file in its place, the unit starts the
// program where that is, and make uninstall leaves nothing.
func TestInstall(t *testing.T) {
	dest := t.TempDir()
	run(t, "make", "-C", root, "build", "install", "DESTDIR="+dest, "prefix=/opt/switcheroo")
	want := map[string]fs.FileMode{
		"opt/switcheroo/bin/switcheroo":                                  0o755,
		"opt/switcheroo/lib/systemd/system/switcherood.service":          0o644,
		"opt/switcheroo/lib/systemd/catalog/switcheroo.catalog":          0o644,
		"opt/switcheroo/lib/systemd/system/switcherood.socket":           0o644,
		"opt/switcheroo/lib/sysusers.d/switcheroo.conf":                  0o644,
		"opt/switcheroo/sbin/switcherood":                                0o755,
		"opt/switcheroo/share/bash-completion/completions/switcheroo":    0o644,
		"opt/switcheroo/share/fish/vendor_completions.d/switcheroo.fish": 0o644,
		"opt/switcheroo/share/zsh/site-functions/_switcheroo":            0o644,
		"opt/switcheroo/lib/tmpfiles.d/switcheroo.conf":                  0o644,
	}
	for page := range files(t, root+"/docs/man") {
		want["opt/switcheroo/share/man/man"+strings.TrimPrefix(filepath.Ext(page), ".")+"/"+page] = 0o644
	}
	for file, mode := range files(t, root+"/examples") {
		want["opt/switcheroo/share/doc/switcheroo/examples/"+file] = mode&^0o022 | 0o444
	}
	if len(want) < 10 {
		t.Fatalf("no examples: %v", want)
	}
	if diff := cmp.Diff(want, files(t, dest)); diff != "" {
		t.Errorf("installed (-want +got):\n%s", diff)
	}
	installed, err := os.ReadFile(filepath.Join(dest, "opt/switcheroo/lib/systemd/system/switcherood.service"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(installed), "ExecStart=/opt/switcheroo/sbin/switcherood\n") {
		t.Errorf("the installed unit does not start the installed program:\n%s", installed)
	}
	run(t, "make", "-C", root, "uninstall", "DESTDIR="+dest, "prefix=/opt/switcheroo")
	if diff := cmp.Diff(map[string]fs.FileMode{}, files(t, dest)); diff != "" {
		t.Errorf("left after uninstall (-want +got):\n%s", diff)
	}
}

// files returns the modes of all files below dir.
func files(t *testing.T, dir string) map[string]fs.FileMode {
	t.Helper()
	found := map[string]fs.FileMode{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		found[rel] = info.Mode()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
