package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// binaries are the programs of the demo, as files of this machine.
type binaries struct {
	shown  string // switcherood, or switcheroo
	server string // what myapp runs
	load   string // the clients
}

const (
	buildTimeout = 5 * time.Minute
	module       = "github.com/switcheroo/switcheroo"
)

// build makes the programs in dir: the server, the clients, and the program of
// that name that is shown if it is neither given nor in bin, where `make build`
// leaves it.
func build(ctx context.Context, root, dir, name, given string) (binaries, error) {
	b := binaries{shown: given, server: filepath.Join(dir, "server"), load: filepath.Join(dir, "swload")}
	packages := []string{module + "/test/server", module + "/test/load/cmd/swload"}
	if b.shown == "" {
		b.shown = filepath.Join(root, "bin", name)
		if _, err := os.Stat(b.shown); err != nil {
			b.shown = filepath.Join(dir, name)
			packages = append(packages, module+"/cmd/"+name)
		}
	}
	if _, err := goCommand(ctx, root, append([]string{"build", "-o", dir + "/"}, packages...)...); err != nil {
		return b, err
	}
	return b, nil
}

// findRoot returns the directory of the module that the demo belongs to.
func findRoot(ctx context.Context) (string, error) {
	root, err := goCommand(ctx, "", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return "", hinted{err, `run it in Switcheroo's own directory: make demo`}
	}
	return strings.TrimSpace(root), nil
}

func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	// Without cgo it depends on no library of a host's.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", hinted{
			fmt.Errorf("go %s: %w\n%s", args[0], err, strings.TrimSpace(stderr.String())),
			"Go 1.25 or newer must be in PATH, and reach the module proxy the first time",
		}
	}
	return string(out), nil
}
