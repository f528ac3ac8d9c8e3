// Package deb proves what the Debian packages promise: that they are built from
// their source alone, that lintian is content, and that on hosts with a real
// systemd they are installed, upgraded, downgraded, removed and purged with
// clients that lose nothing.
package deb

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

const root = "../.."

func TestMain(m *testing.M) {
	code := host.Main(m)
	if dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// packages are what was built from this tree.
type packages struct {
	dir     string // of all of them
	old     string // switcheroo, in the version of debian/changelog
	later   string // the same, built from the source package as a higher version
	dev     string // the library
	source  string // what the source package unpacks to
	version string // of old
	commit  string // that git had when they were built
}

// laterVersion is higher than any that debian/changelog has.
const laterVersion = "99.1"

var (
	dir   string // of packages
	build = sync.OnceValues(buildPackages)
)

// built returns the packages, which are built once a process.
func built(t *testing.T) packages {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: no network namespace to build packages in")
	}
	p, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// debsEnv names a directory to keep what is built in, and to take it from in the
// next run: that tries everything but the build.
const debsEnv = "SWITCHEROO_TEST_DEBS"

// buildPackages builds the packages as `make deb` does, and from the source
// package that comes out of it once more, as another version and where there is
// no network and no module cache.
func buildPackages() (p packages, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	work := os.Getenv(debsEnv)
	if work == "" {
		if dir, err = os.MkdirTemp("", "switcheroo-deb-"); err != nil {
			return p, err
		}
		work = dir
	}
	p.dir, p.source = filepath.Join(work, "dist"), filepath.Join(work, "source")
	if _, err := os.Stat(p.dir); err != nil {
		if err := buildInto(ctx, work, p); err != nil {
			return p, err
		}
	}
	if p.later, err = only(p.dir, "switcheroo_"+laterVersion+"_*.deb"); err != nil {
		return p, err
	}
	if p.dev, err = only(p.dir, "golang-*-dev_*_all.deb"); err != nil {
		return p, err
	}
	if p.old, err = only(p.dir, "switcheroo_[^9]*.deb"); err != nil {
		return p, err
	}
	p.version, err = command(ctx, p.dir, "dpkg-deb", "--field", p.old, "Version")
	if err != nil {
		return p, err
	}
	p.version = strings.TrimSpace(p.version)
	commit, err := os.ReadFile(filepath.Join(work, "HEAD"))
	p.commit = strings.TrimSpace(string(commit))
	return p, err
}

// buildInto builds into p.dir, and unpacks to p.source.
func buildInto(ctx context.Context, work string, p packages) error {
	abs, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	head, err := command(ctx, abs, "git", "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "HEAD"), []byte(head), 0o644); err != nil {
		return err
	}
	dist := filepath.Join(work, "building")
	if _, err := command(ctx, abs, "make", "--no-print-directory", "deb", "DIST="+dist); err != nil {
		return err
	}
	dsc, err := only(dist, "*.dsc")
	if err != nil {
		return err
	}
	if _, err := command(ctx, work, "dpkg-source", "--extract", dsc, p.source); err != nil {
		return err
	}
	changelog := filepath.Join(p.source, "debian", "changelog")
	text, err := os.ReadFile(changelog)
	if err != nil {
		return err
	}
	entry := fmt.Sprintf("switcheroo (%s) UNRELEASED; urgency=medium\n\n  * The same once more.\n\n -- Test <test@localhost>  Wed, 25 Nov 2026 12:00:00 +0000\n\n", laterVersion)
	if err := os.WriteFile(changelog, append([]byte(entry), text...), 0o644); err != nil {
		return err
	}
	// The compiler's cache is all that it is given, for the time that it saves.
	// As root, go would make a home that is not there, but for one in /proc.
	_, err = command(ctx, p.source, "unshare", "--net", "--", "sh", "-euc", `
		! ip route | grep .
		export GOCACHE="$(go env GOCACHE)"
		export HOME=/proc/nonexistent GOMODCACHE=/proc/nonexistent
		exec dpkg-buildpackage --build=binary -us -uc --build-profiles=pkg.switcheroo.go`)
	if err != nil {
		return err
	}
	later, err := only(work, "switcheroo_"+laterVersion+"_*.deb")
	if err != nil {
		return err
	}
	// Beside the others, where hosts find it.
	if err := os.Rename(later, filepath.Join(dist, filepath.Base(later))); err != nil {
		return err
	}
	return os.Rename(dist, p.dir)
}

// only returns the one file in dir that the pattern matches.
func only(dir, pattern string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d files %s in %s", len(found), pattern, dir)
	}
	return found[0], nil
}

// command runs a program in a directory and returns what it printed on stdout.
func command(ctx context.Context, in, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = in
	var stdout, all strings.Builder
	cmd.Stdout = writers{&stdout, &all}
	cmd.Stderr = writers{&all}
	// xz would take longer than all the rest of a package.
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "DPKG_DEB_COMPRESSOR_TYPE=gzip", "PATH="+os.Getenv("PATH")+":/usr/local/go/bin:/usr/sbin:/sbin")
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, all.String())
	}
	return stdout.String(), nil
}

// writers write to each of them.
type writers []*strings.Builder

func (w writers) Write(p []byte) (int, error) {
	for _, b := range w {
		b.Write(p)
	}
	return len(p), nil
}
