package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// stage is one part of the suite. Its run adds what it found to the report;
// an error is about the stage itself and counts as one failure more.
type stage struct {
	name, about string
	run         func(context.Context, *report) error
}

var stages = []stage{
	{"lint", "gofmt, vet, staticcheck, import table", lint},
	{"unit", "every package, with the race detector", unit},
	{"fuzz", "every fuzz target, " + fuzzTime() + " each", fuzz},
	{"support", "packaging, documents, linters, and the tests' own tools", support},
	{"deb", "the Debian packages: built, linted, and their whole life on hosts with clients", deb},
	{"e2e", "real systemd, real kernel rules, real clients", e2e},
	{"loss", "switches of every kind of server under load, with each backend", loss},
}

func stageNames() []string {
	var names []string
	for _, s := range stages {
		names = append(names, s.name)
	}
	return names
}

// pick returns the stages that the comma-separated list names, in suite order;
// an empty list means all.
func pick(list string) ([]stage, error) {
	if list == "" {
		return stages, nil
	}
	wanted := strings.Split(list, ",")
	for _, name := range wanted {
		if !slices.Contains(stageNames(), name) {
			return nil, fmt.Errorf("no stage %q, only %s", name, strings.Join(stageNames(), ", "))
		}
	}
	var picked []stage
	for _, s := range stages {
		if slices.Contains(wanted, s.name) {
			picked = append(picked, s)
		}
	}
	return picked, nil
}

func lint(ctx context.Context, r *report) error {
	cmd := command(ctx, "make", "--no-print-directory", "lint")
	cmd.Stdout, cmd.Stderr = r.out, r.out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make lint: %w", err)
	}
	r.passed++
	return nil
}

func unit(ctx context.Context, r *report) error {
	// -count=1: what these tests ask is the kernel, which no cache key covers.
	return goTest(ctx, r, ships, "-race", "-count=1", "-timeout=5m")
}

func support(ctx context.Context, r *report) error {
	return goTest(ctx, r, func(p string) bool { return !ships(p) && !debian(p) && !endToEnd(p) && !lossBench(p) }, "-count=1", "-timeout=5m")
}

func deb(ctx context.Context, r *report) error {
	return goTest(ctx, r, debian, "-count=1", "-timeout=10m")
}

func e2e(ctx context.Context, r *report) error {
	return goTest(ctx, r, endToEnd, "-count=1", "-timeout=10m")
}

func loss(ctx context.Context, r *report) error {
	return goTest(ctx, r, lossBench, "-count=1", "-timeout=15m")
}

func ships(pkg string) bool {
	return !strings.Contains(pkg, "/test/") && !strings.Contains(pkg, "/bench/")
}

func debian(pkg string) bool { return strings.HasSuffix(pkg, "/test/deb") }

func lossBench(pkg string) bool { return strings.HasSuffix(pkg, "/bench/loss") }

// endToEnd says whether a package boots hosts and puts clients on them.
func endToEnd(pkg string) bool {
	return slices.ContainsFunc([]string{"/test/cli", "/test/doctor", "/test/e2e", "/test/library", "/test/pages", "/test/run"}, func(s string) bool { return strings.HasSuffix(pkg, s) })
}

// goTest tests the packages that keep accepts, and reads go test's events into
// r. Failed tests are in r, not in the error.
func goTest(ctx context.Context, r *report, keep func(string) bool, flags ...string) error {
	packages, err := listPackages(ctx, keep)
	if err != nil {
		return err
	}
	args := slices.Concat([]string{"test", "-json", "-vet=off"}, flags, packages)
	cmd := command(ctx, "go", args...)
	cmd.Stderr = r.out
	events, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("pipe from go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start go test: %w", err)
	}
	ran, failed := r.total(), r.failed
	readErr := r.read(events, func(p string) bool { return debian(p) || endToEnd(p) || lossBench(p) })
	waitErr := cmd.Wait()
	switch {
	case readErr != nil:
		return readErr
	case waitErr != nil && r.failed == failed:
		return fmt.Errorf("go test: %w", waitErr)
	case r.total() == ran:
		return fmt.Errorf("no test ran")
	}
	return nil
}

// listPackages returns the module's packages that keep accepts.
func listPackages(ctx context.Context, keep func(string) bool) ([]string, error) {
	cmd := command(ctx, "go", "list", "-e", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	packages := slices.DeleteFunc(strings.Fields(string(out)), func(p string) bool { return !keep(p) })
	if len(packages) == 0 {
		return nil, fmt.Errorf("no packages")
	}
	return packages, nil
}

// command is exec.CommandContext, ended by an interrupt first so that go test
// can end what it started.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}
