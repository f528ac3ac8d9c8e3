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
	done map[string]func() (string, error)
}

// Build builds the Go program in package pkg, once a process, and returns the
// path of the binary, which does not depend on any library unless flags (those
// of go build) include -race. A relative package is one of the test's
// directory.
func Build(tb testing.TB, pkg string, flags ...string) string {
	tb.Helper()
	key := strings.Join(append(flags, pkg), " ")
	builds.Lock()
	if builds.done == nil {
		builds.done = map[string]func() (string, error){}
	}
	f := builds.done[key]
	if f == nil {
		n := len(builds.done)
		f = sync.OnceValues(func() (string, error) { return build(n, pkg, flags) })
		builds.done[key] = f
	}
	builds.Unlock()
	binary, err := f()
	if err != nil {
		tb.Fatal(err)
	}
	return binary
}

func build(n int, pkg string, flags []string) (string, error) {
	dir, err := processDir()
	if err != nil {
		return "", err
	}
	abs, err := filepath.Abs(pkg)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, fmt.Sprintf("bin%d", n), path.Base(filepath.ToSlash(abs)))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
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
