package deb

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// lintian has neither an error nor a warning, of the source or of a package.
func TestLintian(t *testing.T) {
	t.Parallel()
	p := built(t)
	changes, err := only(p.dir, "*.changes")
	if err != nil {
		t.Fatal(err)
	}
	out, err := command(t.Context(), p.dir, "lintian", "--allow-root", "--fail-on=error,warning", changes)
	if err != nil || out != "" {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// Every override says why, in a comment above it.
func TestOverridesAreExplained(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(root, "debian", "*lintian-overrides"))
	if err != nil || len(found) == 0 {
		t.Fatalf("%d files, %v", len(found), err)
	}
	for _, file := range found {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		explained := false
		for line := range strings.Lines(string(text)) {
			switch {
			case strings.HasPrefix(line, "#"):
				explained = true
			case strings.TrimSpace(line) == "":
				explained = false
			case !explained:
				t.Errorf("%s: no comment above %s", file, line)
			}
		}
	}
}

var vendored = regexp.MustCompile(`(?m)^# (\S+) v\S+`)

// debian/copyright names each module that the source package holds.
func TestCopyrightNamesEveryModule(t *testing.T) {
	p := built(t)
	copyright, err := os.ReadFile(filepath.Join(p.source, "debian", "copyright"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(filepath.Join(p.source, "vendor", "modules.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for _, field := range strings.Fields(string(copyright)) {
		if dir, ok := strings.CutSuffix(field, "/*"); ok && strings.HasPrefix(dir, "vendor/") {
			patterns = append(patterns, dir)
		}
	}
	used := map[string]bool{}
	for _, m := range vendored.FindAllStringSubmatch(string(list), -1) {
		if _, err := os.Stat(filepath.Join(p.source, "vendor", m[1])); err != nil {
			continue // of no package that is used
		}
		named := false
		for _, dir := range patterns {
			if module := "vendor/" + m[1] + "/"; strings.HasPrefix(module, dir+"/") {
				named, used[dir] = true, true
			}
		}
		if !named {
			t.Errorf("debian/copyright does not name %s", m[1])
		}
	}
	for _, dir := range patterns {
		if !used[dir] {
			t.Errorf("debian/copyright names %s, which is not there", dir)
		}
	}
}

// The library builds from what its package installs, and from nothing else.
func TestLibraryPackage(t *testing.T) {
	p := built(t)
	at := t.TempDir()
	if _, err := command(t.Context(), p.dir, "dpkg-deb", "--extract", p.dev, at); err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Abs(filepath.Join(root, "debian", "tests", "library"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := command(t.Context(), at, "go", "env", "GOCACHE")
	if err != nil {
		t.Fatal(err)
	}
	_, err = command(t.Context(), at, "env", "AUTOPKGTEST_TMP="+t.TempDir(), "GOCACHE="+strings.TrimSpace(cache),
		"GOCODE="+filepath.Join(at, "usr/share/gocode"), "unshare", "--net", "--", tests)
	if err != nil {
		t.Fatal(err)
	}
}
