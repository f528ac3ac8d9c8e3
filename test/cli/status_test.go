package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryStatusIsReached: each exit status that docs/cli.md has is one that a
// session wants, and each that a session wants is there.
func TestEveryStatusIsReached(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "\n## Exit status\n")
	if !ok {
		t.Fatal("docs/cli.md has no exit status")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(table, -1) {
		documented[m[1]] = true
	}
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	reached := map[string]bool{"0": true} // by every exec
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^(?:status (\d+) switcheroo(.*)|screen shows '\^ended with (\d+)\$')$`).FindAllStringSubmatch(string(text), -1) {
			if strings.HasPrefix(m[2], " exec ") { // the command's
				continue
			}
			status := m[1] + m[3]
			reached[status] = true
			if !documented[status] {
				t.Errorf("%s: %s is not documented", filepath.Base(script), status)
			}
		}
	}
	for status := range documented {
		if !reached[status] {
			t.Errorf("no session reaches %s", status)
		}
	}
	if len(documented) < 13 {
		t.Errorf("only %d are documented", len(documented))
	}
}
