package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var builds struct {
	sync.Mutex
	made map[string]*program
}

// program is one that Compile makes.
type program struct {
	sync.Mutex
	number int
	path   string // empty until it is made
}

// Build is Compile for tests.
func Build(tb testing.TB, pkg string, flags ...string) string {
	tb.Helper()
	binary, err := Compile(tb.Context(), pkg, flags...)
	if err != nil {
		tb.Fatal(err)
	}
	return binary
}

// Compile builds the Go program in package pkg, once a process, and returns the
// path of the binary, which does not depend on any library unless flags (those
// of go build) include -race. A relative package is one of the working
// directory, which for a test is its own. What was built is there until Clean.
func Compile(ctx context.Context, pkg string, flags ...string) (string, error) {
	key := strings.Join(append(flags, pkg), " ")
	builds.Lock()
	if builds.made == nil {
		builds.made = map[string]*program{}
	}
	p := builds.made[key]
	if p == nil {
		p = &program{number: len(builds.made)}
		builds.made[key] = p
	}
	builds.Unlock()
	p.Lock()
	defer p.Unlock()
	if p.path != "" {
		return p.path, nil
	}
	var err error
	p.path, err = build(ctx, p.number, pkg, flags)
	return p.path, err
}

// Clean removes what Compile built, at the end of a process. What one leaves
// behind, the next one that boots a host removes.
func Clean() error {
	return os.RemoveAll(filepath.Join(os.TempDir(), prefix+owner()))
}

func build(ctx context.Context, n int, pkg string, flags []string) (string, error) {
	dir, err := processDir()
	if err != nil {
		return "", err
	}
	abs, err := filepath.Abs(pkg)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, fmt.Sprintf("bin%d", n), path.Base(filepath.ToSlash(abs)))
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	args := slices.Concat([]string{"build", "-o", binary}, flags, []string{pkg})
	cmd := exec.CommandContext(ctx, "go", args...)
	if !slices.Contains(flags, "-race") {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return binary, nil
}
