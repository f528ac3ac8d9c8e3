package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// report counts results and prints them as they come.
type report struct {
	out                     io.Writer
	passed, failed, skipped int
	failures                []string // "package Test", repeated at the end
	skips                   []string
	tests                   map[testID]*test
	order                   map[string][]*test // by package, as started
}

func newReport(out io.Writer) *report {
	return &report{
		out:   out,
		tests: map[testID]*test{},
		order: map[string][]*test{},
	}
}

// event is one line of go test -json (go doc test2json).
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string // of build-output
	FailedBuild                   string
	Elapsed                       float64
}

// testID names a test; Name is empty for the package itself.
type testID struct{ Package, Name string }

// test is what is known of one test while it runs.
type test struct {
	testID
	output   []string
	ended    string // "pass", "fail", "skip", or empty while it runs
	elapsed  float64
	children bool
	blamed   bool // a child failed
}

// read consumes the output of one go test -json. In packages that verbose
// accepts, passing tests print what they logged, too.
func (r *report) read(events io.Reader, verbose func(pkg string) bool) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprint(r.out, line) // go's own complaint, before any test
			} else {
				r.add(e, verbose(e.Package))
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read go test's events: %w", err)
		}
	}
}

func (r *report) add(e event, verbose bool) {
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
		return
	case "start", "build-fail", "pause", "cont", "bench", "attr":
		return
	}
	t := r.lookup(testID{e.Package, e.Test})
	switch e.Action {
	case "output":
		t.output = append(t.output, e.Output)
	case "pass", "fail", "skip":
		t.ended, t.elapsed = e.Action, e.Elapsed
		if e.Test == "" {
			r.endPackage(t)
		} else {
			r.endTest(t, verbose)
		}
	}
}

func (r *report) lookup(id testID) *test {
	if t := r.tests[id]; t != nil {
		return t
	}
	t := &test{testID: id}
	r.tests[id] = t
	if id.Name != "" {
		r.order[id.Package] = append(r.order[id.Package], t)
		if p := r.parent(t); p != nil {
			p.children = true
		}
	}
	return t
}

// parent returns the test that t is a case of, or nil. A case's own name may
// have slashes in it.
func (r *report) parent(t *test) *test {
	name := t.Name
	for {
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return nil
		}
		name = name[:i]
		if p := r.tests[testID{t.Package, name}]; p != nil {
			return p
		}
	}
}

// endTest counts t if it is a leaf: a parent counts only for a fault of its
// own. The seeds of a fuzz target count as one.
func (r *report) endTest(t *test, verbose bool) {
	parent := r.parent(t)
	name := t.Package + " " + t.Name
	seed := parent != nil && strings.HasPrefix(t.Name, "Fuzz")
	leaf := !t.children || strings.HasPrefix(t.Name, "Fuzz") && parent == nil
	switch {
	case t.ended == "fail":
		if !t.blamed {
			r.failed++
			r.failures = append(r.failures, name)
		}
		if parent != nil {
			parent.blamed = true
		}
	case seed:
	case t.ended == "skip":
		r.skipped++
		r.skips = append(r.skips, name+": "+reason(t.output))
	case leaf:
		r.passed++
	}
	if parent == nil && (t.ended == "fail" || verbose) {
		r.print(t, verbose)
	}
}

// print shows a top-level test and those below it, each with what it logged;
// of one that failed only what did not pass, unless all is asked for.
func (r *report) print(top *test, all bool) {
	for _, t := range r.order[top.Package] {
		if t != top && (!strings.HasPrefix(t.Name, top.Name+"/") || t.ended == "pass" && !all) {
			continue
		}
		indent := strings.Repeat("    ", strings.Count(t.Name, "/"))
		word := t.ended
		if word == "" {
			word = "unfinished"
		}
		fmt.Fprintf(r.out, "%s%s %s (%.2f s)\n", indent, word, t.Name, t.elapsed)
		for _, line := range t.output {
			if !framing(line) {
				fmt.Fprintf(r.out, "%s%s", indent, line)
			}
		}
	}
}

// endPackage reports a package, and as failed the tests that it took with it
// (a panic, a timeout), or itself when no test is to blame.
func (r *report) endPackage(t *test) {
	blamed := false
	for _, each := range r.order[t.Package] {
		if each.ended == "" {
			blamed = true
			if !each.children {
				r.failed++
				r.failures = append(r.failures, each.Package+" "+each.Name+" (did not finish)")
			}
			if r.parent(each) == nil {
				r.print(each, false)
			}
		}
		blamed = blamed || each.ended == "fail"
	}
	switch t.ended {
	case "fail":
		if !blamed {
			r.failure(t.Package, "the package failed outside its tests")
		}
		for _, line := range t.output {
			fmt.Fprint(r.out, line)
		}
		fmt.Fprintf(r.out, "FAIL %s (%.1f s)\n", t.Package, t.elapsed)
	case "pass":
		fmt.Fprintf(r.out, "ok   %s (%d tests, %.1f s)\n", t.Package, len(r.order[t.Package]), t.elapsed)
	case "skip":
		fmt.Fprintf(r.out, "-    %s (no test files)\n", t.Package)
	}
	for _, each := range r.order[t.Package] {
		delete(r.tests, each.testID)
	}
	delete(r.tests, t.testID)
	delete(r.order, t.Package)
}

// failure counts one failure that no test stands for.
func (r *report) failure(where, what string) {
	r.failed++
	r.failures = append(r.failures, where+": "+what)
	fmt.Fprintf(r.out, "FAIL %s: %s\n", where, what)
}

func (r *report) total() int { return r.passed + r.failed + r.skipped }

// summary prints what needs attention, then the one line of counts, and
// returns the exit status. As root nothing may have been skipped.
func (r *report) summary(root bool) int {
	fmt.Fprintln(r.out)
	for _, s := range r.skips {
		fmt.Fprintln(r.out, "skipped:", s)
	}
	for _, f := range r.failures {
		fmt.Fprintln(r.out, "failed:", f)
	}
	status := 0
	if r.failed > 0 {
		status = 1
	}
	if root && r.skipped > 0 {
		fmt.Fprintln(r.out, "as root no test may be skipped")
		status = 1
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	return status
}

// framing reports whether line is go test's own and says nothing that print
// does not.
func framing(line string) bool {
	line = strings.TrimLeft(line, " ")
	return strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ")
}

// reason is what a skipped test said, in one line.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		if !framing(line) {
			said = append(said, strings.TrimSpace(line))
		}
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}
