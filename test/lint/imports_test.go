// Package lint proves that the linters' own configuration works: a linter that
// cannot fail is worse than none.
package lint

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	module = "github.com/switcheroo/switcheroo"
	root   = "../.."
)

// row is one line of ARCHITECTURE.md's import tables.
type row struct {
	dir     string // "internal/nat", or "." for the module's root
	imports []string
	all     bool // may import everything
}

var (
	rowPattern  = regexp.MustCompile("^\\| `([^`]+)` \\|.*\\| ([^|]+) \\|$")
	namePattern = regexp.MustCompile("`([^`]+)`")
)

// importTable reads the rows of the tables whose last column is "imports".
func importTable(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	inside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "| package |"):
			inside = strings.HasSuffix(line, "| imports |")
		case !strings.HasPrefix(line, "|"):
			inside = false
		}
		m := rowPattern.FindStringSubmatch(line)
		if !inside || m == nil {
			continue
		}
		r := row{dir: m[1], all: m[2] == "everything"}
		for _, name := range namePattern.FindAllStringSubmatch(m[2], -1) {
			dir := name[1]
			if dir != "." {
				dir = "internal/" + dir
			}
			r.imports = append(r.imports, dir)
		}
		if !r.all && r.imports == nil && m[2] != "-" {
			t.Fatalf("ARCHITECTURE.md: %s imports %q, which is neither names, nor -, nor everything", r.dir, m[2])
		}
		rows = append(rows, r)
	}
	if len(rows) < 10 {
		t.Fatalf("ARCHITECTURE.md: found only %d lines of the import tables", len(rows))
	}
	return rows
}

// TestImportTableIsComplete fails when a package that ships has no line in
// ARCHITECTURE.md.
func TestImportTableIsComplete(t *testing.T) {
	listed := map[string]bool{}
	for _, r := range importTable(t) {
		listed[r.dir] = true
	}
	for _, top := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(file string, d fs.DirEntry, err error) error {
			if d != nil && d.Name() == "testdata" {
				return filepath.SkipDir // go and depguard do not look there
			}
			if err != nil || d.IsDir() || filepath.Ext(file) != ".go" {
				return err
			}
			dir, err := filepath.Rel(root, filepath.Dir(file))
			if err != nil {
				return err
			}
			if !listed[dir] {
				t.Errorf("%s has no line in ARCHITECTURE.md's import tables", dir)
				listed[dir] = true
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestEveryPairOfImports builds a module in which the tests of every package
// import every other package (tests, because those may form a circle), and
// expects depguard to name exactly the pairs that the tables do not allow.
func TestEveryPairOfImports(t *testing.T) {
	rows := importTable(t)
	dir := newModule(t)
	var want []string
	for _, from := range rows {
		write(t, dir, path.Join(from.dir, "x.go"), "package "+packageName(from.dir)+"\n")
		if isMain(from.dir) {
			write(t, dir, path.Join(from.dir, "main.go"), "package main\n\nfunc main() {}\n")
		}
		var imports strings.Builder
		for _, to := range rows {
			if isMain(to.dir) {
				continue
			}
			fmt.Fprintf(&imports, "import _ %q\n", path.Join(module, to.dir))
			if !from.all && from.dir != to.dir && !slices.Contains(from.imports, to.dir) {
				want = append(want, from.dir+" -> "+to.dir)
			}
		}
		write(t, dir, path.Join(from.dir, "x_test.go"), "package "+packageName(from.dir)+"_test\n\n"+imports.String())
	}
	var got []string
	for _, c := range depguard(t, dir) {
		imported := "."
		if c.imported != module {
			imported = strings.TrimPrefix(c.imported, module+"/")
		}
		got = append(got, path.Dir(c.file)+" -> "+imported)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refused imports (-ARCHITECTURE.md +.depguard.yml):\n%s", diff)
	}
}

func TestForbiddenImports(t *testing.T) {
	tests := []struct {
		name, file, imported string
		refused              bool
	}{
		{"package log", "internal/lock/x.go", "log", true},
		{"package log in a test", "internal/lock/x_test.go", "log", true},
		{"log/slog", "internal/lock/x.go", "log/slog", false},
		{"io/ioutil", "internal/lock/x.go", "io/ioutil", true},
		{"pkg/errors", "internal/lock/x.go", "github.com/pkg/errors", true},
		{"testing in what ships", "internal/lock/x.go", "testing", true},
		{"testing/iotest in what ships", "cmd/switcherood/x.go", "testing/iotest", true},
		{"testing in a test", "internal/lock/x_test.go", "testing", false},
		{"a test host in what ships", "cmd/switcherood/x.go", module + "/test/host", true},
		{"a test host in a package's test", "internal/unit/x_test.go", module + "/test/host", false},
		{"a test host in the end-to-end tests", "test/e2e/x.go", module + "/test/host", false},
		{"anything in the end-to-end tests", "test/e2e/x.go", module + "/internal/nat", false},
		{"a package without a list", "internal/newcomer/x.go", module + "/internal/nat", true},
		{"a package without a list, further down", "internal/nat/newcomer/x.go", module + "/internal/nat", true},
	}
	// One module holds the file of every case, so that depguard runs once.
	dir := newModule(t)
	write(t, dir, "internal/nat/nat.go", "package nat\n")
	write(t, dir, "test/host/host.go", "package host\n\nimport _ \"testing\"\n")
	write(t, dir, "cmd/switcherood/main.go", "package main\n\nfunc main() {}\n")
	var files []string
	for i, tt := range tests {
		files = append(files, path.Join(path.Dir(tt.file), fmt.Sprintf("case%d%s", i, path.Base(tt.file))))
		write(t, dir, files[i], fmt.Sprintf("package %s\n\nimport _ %q\n", packageName(path.Dir(tt.file)), tt.imported))
	}
	complaints := depguard(t, dir)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := slices.Contains(complaints, complaint{files[i], tt.imported}); got != tt.refused {
				t.Errorf("%s imports %s: refused is %t, want %t", tt.file, tt.imported, got, tt.refused)
			}
		})
	}
}

// complaint is one finding of depguard.
type complaint struct{ file, imported string }

var complaintPattern = regexp.MustCompile(`(?m)^(.+\.go):\d+:\d+: import '(.+)' is not allowed from list '.+'.*$`)

// depguard runs the linter over the module in dir and returns what it found.
func depguard(t *testing.T, dir string) []complaint {
	t.Helper()
	locate := exec.CommandContext(t.Context(), "go", "tool", "-n", "-modfile=tools/go.mod", "depguard")
	locate.Dir = root
	tool, err := locate.Output()
	if err != nil {
		t.Fatalf("locate depguard: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), strings.TrimSpace(string(tool)), "./...")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	matches := complaintPattern.FindAllStringSubmatch(string(out), -1)
	if err != nil && len(matches) == 0 {
		t.Fatalf("depguard: %v\n%s", err, out)
	}
	if err == nil && len(matches) > 0 {
		t.Fatalf("depguard complains, yet its exit status is 0:\n%s", out)
	}
	var found []complaint
	for _, m := range matches {
		rel, err := filepath.Rel(dir, m[1])
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, complaint{rel, m[2]})
	}
	return found
}

// newModule makes an empty module with this one's name and depguard
// configuration, and a stand-in for the foreign package that is forbidden.
func newModule(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(root, ".depguard.yml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, ".depguard.yml", string(config))
	write(t, dir, "go.mod", "module "+module+"\n\ngo 1.25.0\n\nrequire github.com/pkg/errors v0.0.0\n\nreplace github.com/pkg/errors => ./foreign\n")
	write(t, dir, "foreign/go.mod", "module github.com/pkg/errors\n\ngo 1.25.0\n")
	write(t, dir, "foreign/errors.go", "package errors\n")
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func isMain(dir string) bool { return strings.HasPrefix(dir, "cmd/") }

func packageName(dir string) string {
	switch {
	case isMain(dir):
		return "main"
	case dir == ".":
		return "switcheroo"
	}
	return path.Base(dir)
}
