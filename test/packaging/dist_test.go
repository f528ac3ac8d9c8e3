package packaging

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a release is built from, when a test builds one.
const (
	version = "1.2.3"
	commit  = "0123456789abcdef0123456789abcdef01234567"
	epoch   = "1700000000"
)

// TestDistIsReproducible: make dist in two directories, for two people with
// other languages, clocks and umasks, gives the same bytes; and what it
// gives is whole.
func TestDistIsReproducible(t *testing.T) {
	first := dist(t, filepath.Join(t.TempDir(), "a"), "022", "LC_ALL=C", "TZ=UTC")
	second := dist(t, filepath.Join(t.TempDir(), "somewhere", "else", "b"), "077", "LC_ALL=C.UTF-8", "TZ=Asia/Tokyo")
	names := files(t, first)
	if len(names) != 3 {
		t.Errorf("a release is %d files: %v", len(names), names)
	}
	for name := range names {
		a, errA := os.ReadFile(filepath.Join(first, name))
		b, errB := os.ReadFile(filepath.Join(second, name))
		if errA != nil || errB != nil {
			t.Errorf("%s: %v, %v", name, errA, errB)
		} else if !bytes.Equal(a, b) {
			t.Errorf("%s is not the same twice", name)
		}
	}

	in := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	in.Dir = first
	if out, err := in.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	tarballs, err := filepath.Glob(filepath.Join(first, "switcheroo-"+version+"-linux-*.tar.gz"))
	if err != nil || len(tarballs) != 1 {
		t.Fatalf("tarballs: %v, %v", tarballs, err)
	}
	at := t.TempDir()
	run(t, "tar", "-C", at, "--strip-components=1", "-xf", tarballs[0])
	if got, want := run(t, filepath.Join(at, "bin/switcheroo"), "--version"), "switcheroo "+version+"\n"; got != want {
		t.Errorf("switcheroo --version says %q, not %q", got, want)
	}
	if got, want := run(t, filepath.Join(at, "bin/switcheroo"), "version"), "switcheroo "+version+", commit "+commit+"\n"; !strings.HasPrefix(got, want) {
		t.Errorf("switcheroo version says %q, not %q", got, want)
	}
	for _, name := range []string{"bin/switcheroo", "sbin/switcherood"} {
		static(t, filepath.Join(at, name))
	}
	bill(t, at)
	for _, name := range []string{
		"lib/systemd/system/switcherood.service", "share/man/man8/switcherood.8", "share/doc/switcheroo/LICENSE",
		"share/doc/switcheroo/licenses/github.com/spf13/cobra/LICENSE.txt", "share/doc/switcheroo/licenses/std/LICENSE",
	} {
		if _, err := os.Stat(filepath.Join(at, name)); err != nil {
			t.Error(err)
		}
	}
	for line := range strings.Lines(run(t, "tar", "--numeric-owner", "--full-time", "--utc", "-tvf", tarballs[0])) {
		if f := strings.Fields(line); f[1] != "0/0" || f[3]+" "+f[4] != "2023-11-14 22:13:20" {
			t.Errorf("owner or time: %s", line)
		}
	}
}

// dist copies what git knows to dir and makes a release of it there. It returns
// where that is.
func dist(t *testing.T, dir, umask string, env ...string) string {
	t.Helper()
	run(t, root+"/packaging/source", dir)
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", `
		umask "$1"
		exec make --no-print-directory dist DIST=out VERSION="$2" COMMIT="$3"`, "sh", umask, version, commit)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append(env, "SOURCE_DATE_EPOCH="+epoch)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make dist: %v\n%s", err, out)
	}
	return filepath.Join(dir, "out")
}

// static checks that a program needs no library and no interpreter.
func static(t *testing.T, file string) {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is linked dynamically: %v", file, p.Type)
		}
	}
}

// bill checks that the SBOM names the version of the programs, and exactly the
// modules that are in them.
func bill(t *testing.T, at string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(at, "share/doc/switcheroo/sbom.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	type component struct{ Type, Name, Version string }
	var b struct {
		Metadata   struct{ Component component }
		Components []component
	}
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	programs := map[string]bool{}
	got, want := map[string]string{}, map[string]string{}
	for _, c := range append(b.Components, b.Metadata.Component) {
		if c.Type == "application" {
			programs[c.Name] = true
			if c.Version != version {
				t.Errorf("the version of %s is %q in the SBOM", c.Name, c.Version)
			}
		}
		if c.Type == "library" {
			got[c.Name] = c.Version
		}
	}
	if len(programs) != 3 {
		t.Errorf("the SBOM is of %v, not of the two programs and the whole", programs)
	}
	for _, name := range []string{"bin/switcheroo", "sbin/switcherood"} {
		info, err := buildinfo.ReadFile(filepath.Join(at, name))
		if err != nil {
			t.Fatal(err)
		}
		want["stdlib"] = strings.TrimPrefix(info.GoVersion, "go")
		for _, dep := range info.Deps {
			want[dep.Path] = dep.Version
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 10 {
		t.Errorf("modules (-in the programs +in the SBOM):\n%s", diff)
	}
}
