package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// events writes go test -json lines: "action test [output]" of package p.
func events(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		action, rest, _ := strings.Cut(line, " ")
		name, output, _ := strings.Cut(rest, " ")
		if output != "" {
			output += "\n"
		}
		fmt.Fprintf(&b, `{"Action":%q,"Package":"p","Test":%q,"Output":%q}`+"\n", action, name, output)
	}
	return b.String()
}

func TestReport(t *testing.T) {
	tests := []struct {
		name    string
		events  string
		root    bool
		verbose bool
		status  int
		last    string
		prints  []string
		hides   []string
	}{
		{
			name:   "passes are counted and quiet",
			events: events("run TestA", "output TestA === RUN TestA", "output TestA said", "pass TestA", "pass "),
			last:   "1 passed, 0 failed, 0 skipped",
			prints: []string{"ok   p (1 tests"},
			hides:  []string{"said"},
		},
		{
			name:    "verbose shows what a pass said",
			events:  events("run TestA", "output TestA === RUN TestA", "output TestA said", "pass TestA", "pass "),
			verbose: true,
			last:    "1 passed, 0 failed, 0 skipped",
			prints:  []string{"pass TestA", "said"},
			hides:   []string{"=== RUN"},
		},
		{
			name: "cases count, their table does not",
			events: events("run TestA", "run TestA/x", "run TestA/y", "output TestA/y boom",
				"pass TestA/x", "fail TestA/y", "fail TestA", "fail "),
			status: 1,
			last:   "1 passed, 1 failed, 0 skipped",
			prints: []string{"fail TestA/y", "boom", "failed: p TestA/y", "FAIL p"},
			hides:  []string{"pass TestA/x"},
		},
		{
			name:   "a case with slashes in its name belongs to its table",
			events: events("run TestA", "run TestA/log/slog", "fail TestA/log/slog", "fail TestA", "fail "),
			status: 1,
			last:   "0 passed, 1 failed, 0 skipped",
		},
		{
			name:   "a table that fails by itself counts",
			events: events("run TestA", "run TestA/x", "pass TestA/x", "fail TestA", "fail "),
			status: 1,
			last:   "1 passed, 1 failed, 0 skipped",
			prints: []string{"failed: p TestA"},
		},
		{
			name:   "seeds count as one",
			events: events("run FuzzA", "run FuzzA/seed#0", "run FuzzA/seed#1", "pass FuzzA/seed#0", "pass FuzzA/seed#1", "pass FuzzA", "pass "),
			last:   "1 passed, 0 failed, 0 skipped",
		},
		{
			name:   "a skip says why",
			events: events("run TestA", "output TestA a_test.go:3: needs root", "skip TestA", "pass "),
			last:   "0 passed, 0 failed, 1 skipped",
			prints: []string{"skipped: p TestA: a_test.go:3: needs root"},
		},
		{
			name:   "a skip as root is a fault",
			events: events("run TestA", "output TestA a_test.go:3: no systemd", "skip TestA", "pass "),
			root:   true,
			status: 1,
			last:   "0 passed, 0 failed, 1 skipped",
			prints: []string{"as root no test may be skipped"},
		},
		{
			name:   "a package without tests is no skip",
			events: events("skip "),
			root:   true,
			last:   "0 passed, 0 failed, 0 skipped",
		},
		{
			name:   "a test that a panic took along",
			events: events("run TestA", "output TestA half", "output  panic: oh", "fail "),
			status: 1,
			last:   "0 passed, 1 failed, 0 skipped",
			prints: []string{"unfinished TestA", "half", "panic: oh", "p TestA (did not finish)"},
		},
		{
			name:   "a timeout in a case counts once",
			events: events("run TestA", "run TestA/x", "output TestA/x panic: test timed out", "fail "),
			status: 1,
			last:   "0 passed, 1 failed, 0 skipped",
			prints: []string{"unfinished TestA/x", "timed out"},
		},
		{
			name:   "a package that fails outside its tests",
			events: events("run TestA", "pass TestA", "output  exit status 3", "fail "),
			status: 1,
			last:   "1 passed, 1 failed, 0 skipped",
			prints: []string{"exit status 3", "failed outside its tests"},
		},
		{
			name:   "a build that fails",
			events: `{"ImportPath":"p","Action":"build-output","Output":"p.go:1: no\n"}` + "\n" + events("fail "),
			status: 1,
			last:   "0 passed, 1 failed, 0 skipped",
			prints: []string{"p.go:1: no"},
		},
		{
			name:   "what is no event is shown",
			events: "go: cannot find module\n",
			last:   "0 passed, 0 failed, 0 skipped",
			prints: []string{"go: cannot find module"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			r := newReport(&out)
			if err := r.read(strings.NewReader(tt.events), func(string) bool { return tt.verbose }); err != nil {
				t.Fatal(err)
			}
			status := r.summary(tt.root)
			if diff := cmp.Diff(tt.status, status); diff != "" {
				t.Errorf("exit status (-want +got):\n%s", diff)
			}
			text := strings.TrimSuffix(out.String(), "\n")
			if diff := cmp.Diff(tt.last, text[strings.LastIndexByte(text, '\n')+1:]); diff != "" {
				t.Errorf("last line (-want +got):\n%s", diff)
			}
			for _, want := range tt.prints {
				if !strings.Contains(text, want) {
					t.Errorf("does not print %q:\n%s", want, text)
				}
			}
			for _, not := range tt.hides {
				if strings.Contains(text, not) {
					t.Errorf("prints %q:\n%s", not, text)
				}
			}
		})
	}
}

func TestPick(t *testing.T) {
	picked, err := pick("e2e,lint")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range picked {
		got = append(got, s.name)
	}
	if diff := cmp.Diff([]string{"lint", "e2e"}, got); diff != "" {
		t.Errorf("picked (-want +got):\n%s", diff)
	}
	if _, err := pick("e2e,lnit"); err == nil {
		t.Error("an unknown stage was accepted")
	}
}
