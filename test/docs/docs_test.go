// Package docs holds the documents to what they describe.
package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/config"
)

const root = "../.."

// block is a fenced block of a document: its text, and the file that a comment
// above it names, if any.
type block struct {
	document, file, text string
}

var fence = regexp.MustCompile("(?ms)^(?:<!-- file: (\\S+) -->\n)?```\\w*\n(.*?)^```$")

func blocks(t *testing.T) []block {
	t.Helper()
	var all []block
	for _, document := range documents(t) {
		for _, m := range fence.FindAllStringSubmatch(read(t, document), -1) {
			all = append(all, block{document, m[1], m[2]})
		}
	}
	return all
}

// documents returns the paths of all Markdown files from the root.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			all = append(all, strings.TrimPrefix(file, root+"/"))
		}
	}
	if !slices.Contains(all, "README.md") {
		t.Fatalf("no README.md among %q", all)
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestQuotedFiles: what a document shows as a file is that file, which the
// end-to-end tests run.
func TestQuotedFiles(t *testing.T) {
	quoted := map[string]bool{}
	for _, b := range blocks(t) {
		if b.file == "" {
			continue
		}
		quoted[b.file] = true
		if diff := cmp.Diff(read(t, b.file), b.text); diff != "" {
			t.Errorf("%s does not show %s as it is (-file +document):\n%s", b.document, b.file, diff)
		}
	}
	if want := "examples/myapp@.service"; !quoted[want] {
		t.Errorf("no document shows %s", want)
	}
}

// TestUnitsAreValid: the daemon accepts every unit, or part of one, that is
// shown or shipped.
func TestUnitsAreValid(t *testing.T) {
	shown := blocks(t)
	for _, pattern := range []string{"examples/*.service", "examples/*/*.service"} {
		shipped, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range shipped {
			name := strings.TrimPrefix(file, root+"/")
			shown = append(shown, block{document: name, text: read(t, name)})
		}
	}
	checked := 0
	for _, b := range shown {
		if !strings.Contains(b.text, "[X-Switcheroo]\n") {
			continue
		}
		checked++
		files := []config.File{{Path: b.document, Data: []byte(b.text)}}
		name := unitName(t, b)
		if strings.Contains(strings.SplitN(b.text, "\n", 2)[0], ".service.d/") && !strings.Contains(b.text, "Listen=") {
			// A drop-in that leaves it to the unit.
			files = append(files, config.File{Path: b.document, Data: []byte("[X-Switcheroo]\nListen=443\n")})
		}
		instance, err := config.ParseInstance(name, files)
		if strings.HasPrefix(name, "wrong@") { // shown for its mistakes
			if err == nil {
				t.Errorf("%s shows no mistake:\n%s", b.document, b.text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s shows a unit with errors:\n%v\n%s", b.document, err, b.text)
		} else if instance == nil || len(instance.Listen) == 0 {
			t.Errorf("%s shows a unit that serves nothing:\n%s", b.document, b.text)
		}
	}
	if checked < 5 {
		t.Errorf("found only %d units in the documents and examples", checked)
	}
}

var unitComment = regexp.MustCompile(`\A# (?:\S*/)?([^\s/@]+)(@\w*)?\.service(?:\.d/[^\s/]+)?\n`)

// unitName is the unit that the first line of b names, by its file or a drop-in,
// or an instance of that template. Its instance name is one that can end a port
// number, too.
func unitName(t *testing.T, b block) string {
	t.Helper()
	m := unitComment.FindStringSubmatch(b.text)
	if m == nil {
		t.Fatalf("%s shows a unit whose first line does not name its template:\n%s", b.document, b.text)
	}
	switch m[2] {
	case "@":
		return m[1] + "@07.service"
	default:
		return m[1] + m[2] + ".service"
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	checked := 0
	for _, document := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, document), -1) {
			checked++
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(document), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", document, m[1], err)
			}
		}
	}
	if checked == 0 {
		t.Error("found no links")
	}
}

var (
	helpOption = regexp.MustCompile(`(?m)^\s+(?:-\w, )?--([a-z-]+)`)
	manOption  = regexp.MustCompile(`(?m)^\.It Fl -([a-z-]+)`)
	helpVerb   = regexp.MustCompile(`(?m)^  ([a-z]+) {2,}[a-z]`)
	manVerb    = regexp.MustCompile(`(?m)^\.It Cm ([a-z]+)$`)
	// With a short form before it.
	manAnyOption = regexp.MustCompile(`(?m)^\.It Fl (?:\w , )?-([a-z-]+)`)
)

// TestManPageHasEveryOption compares switcherood(8) with what --help prints.
func TestManPageHasEveryOption(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/switcherood", "--help")
	cmd.Dir = root
	help, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("switcherood --help: %v\n%s", err, help)
	}
	want := options(helpOption, string(help))
	got := options(manOption, read(t, "docs/man/switcherood.8"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-help +man page):\n%s\n%s", diff, help)
	}
}

// TestManPageHasEveryVerb compares switcheroo(1) with what --help prints of all
// verbs: run has a document of its own for its options.
func TestManPageHasEveryVerb(t *testing.T) {
	help := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", "./cmd/switcheroo"}, args...)...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("switcheroo %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	page := read(t, "docs/man/switcheroo.1")
	all := help("--help")
	var verbs []string
	for _, m := range helpVerb.FindAllStringSubmatch(all, -1) {
		verbs = append(verbs, m[1])
		if m[1] != "run" {
			all += help(m[1], "--help")
		}
	}
	var told []string
	for _, m := range manVerb.FindAllStringSubmatch(page, -1) {
		told = append(told, m[1])
	}
	slices.Sort(verbs)
	slices.Sort(told)
	if diff := cmp.Diff(verbs, told); diff != "" || len(verbs) < 14 {
		t.Errorf("verbs (-help +man page):\n%s", diff)
	}
	if diff := cmp.Diff(options(helpOption, all), options(manAnyOption, page)); diff != "" {
		t.Errorf("options (-help +man page):\n%s", diff)
	}
	for _, verb := range verbs {
		if !strings.Contains(read(t, "docs/cli.md"), verb) {
			t.Errorf("docs/cli.md says nothing of %s", verb)
		}
	}
}

// TestExitStatusesAgree: cli.md and switcheroo(1) tell the same numbers.
func TestExitStatusesAgree(t *testing.T) {
	numbers := func(pattern *regexp.Regexp, text string) (all []string) {
		for _, m := range pattern.FindAllStringSubmatch(text, -1) {
			all = append(all, m[1])
		}
		return all
	}
	document := numbers(regexp.MustCompile(`(?m)^\| (\d+) \|`), read(t, "docs/cli.md"))
	page := numbers(regexp.MustCompile(`(?m)^\.It (\d+)$`), read(t, "docs/man/switcheroo.1"))
	if diff := cmp.Diff(document, page); diff != "" || len(page) < 11 {
		t.Errorf("statuses (-cli.md +man page):\n%s", diff)
	}
}

func options(pattern *regexp.Regexp, text string) []string {
	var names []string
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}
