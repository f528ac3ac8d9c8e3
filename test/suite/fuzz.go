package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// target is one fuzz target.
type target struct{ pkg, name string }

// fuzzTime is how long each target is fuzzed.
func fuzzTime() string {
	if t := os.Getenv("FUZZTIME"); t != "" {
		return t
	}
	return "10s"
}

// abreast is how many targets are fuzzed at the same time, with one worker
// each: more than CI's two cores, because starting and ending one mostly waits.
const abreast = 3

// fuzz fuzzes every target of the module.
func fuzz(ctx context.Context, r *report) error {
	targets, err := fuzzTargets(ctx)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return errors.New("no fuzz targets")
	}
	type outcome struct {
		target
		text string
		err  error
	}
	outcomes := make(chan outcome)
	var group errgroup.Group
	group.SetLimit(abreast)
	go func() {
		for _, t := range targets {
			group.Go(func() error {
				text, err := fuzzOne(ctx, t)
				outcomes <- outcome{t, text, err}
				return nil
			})
		}
		group.Wait() // the goroutines return no errors: they are in the outcomes
		close(outcomes)
	}()
	for o := range outcomes {
		if o.err != nil {
			fmt.Fprint(r.out, o.text)
			r.failure(o.pkg+" "+o.name, o.err.Error())
			continue
		}
		r.passed++
		fmt.Fprintf(r.out, "ok   %s %s: %s\n", o.pkg, o.name, lastProgress(o.text))
	}
	return nil
}

// fuzzOne returns what go test printed; the error says that the target failed.
func fuzzOne(ctx context.Context, t target) (string, error) {
	run := func() (string, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
		defer cancel()
		out, err := command(ctx, "go", "test", "-vet=off", "-run=^$", "-fuzz=^"+t.name+"$",
			"-fuzztime="+fuzzTime(), "-parallel=1", t.pkg).CombinedOutput()
		return string(out), err
	}
	text, err := run()
	// At the end of its time Go's coordinator may take its own deadline for a
	// failure (go.dev/issue/75804, mended in Go 1.27). No input is at fault
	// then, and the second run has the last word.
	if err != nil && strings.Contains(text, "context deadline exceeded") && !strings.Contains(text, "Failing input") {
		text, err = run()
	}
	return text, err
}

// lastProgress is the last line of progress that go test -fuzz printed.
func lastProgress(text string) string {
	last := "no progress printed"
	for line := range strings.Lines(text) {
		if after, ok := strings.CutPrefix(line, "fuzz: elapsed: "); ok {
			last = strings.TrimSpace(after)
		}
	}
	return last
}

// fuzzTargets finds the targets in the source, which is quicker than building
// every test to ask it.
func fuzzTargets(ctx context.Context) ([]target, error) {
	out, err := command(ctx, "go", "list", "-e", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var targets []target
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p struct {
			ImportPath, Dir           string
			TestGoFiles, XTestGoFiles []string
		}
		if err := decoder.Decode(&p); err == io.EOF {
			return targets, nil
		} else if err != nil {
			return nil, fmt.Errorf("decode go list: %w", err)
		}
		for _, file := range append(p.TestGoFiles, p.XTestGoFiles...) {
			names, err := fuzzNames(filepath.Join(p.Dir, file))
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				targets = append(targets, target{p.ImportPath, name})
			}
		}
	}
}

// fuzzNames returns the Fuzz functions that file declares.
func fuzzNames(file string) ([]string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse for fuzz targets: %w", err)
	}
	var names []string
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") && len(f.Type.Params.List) == 1 {
			names = append(names, f.Name.Name)
		}
	}
	return names, nil
}
