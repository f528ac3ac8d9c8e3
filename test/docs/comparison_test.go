package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	figure = regexp.MustCompile(`\d[\d.,]*\d|\d`)
	names  = regexp.MustCompile("`[^`]*`")
)

// TestComparedFigures: docs/comparison.md has its figures from docs/loss.md.
func TestComparedFigures(t *testing.T) {
	measured := figure.FindAllString(read(t, "docs/loss.md"), -1)
	_, text, ok := strings.Cut(read(t, "docs/comparison.md"), "\n## What they lose\n")
	text, _, end := strings.Cut(text, "\n## ")
	if !ok || !end {
		t.Fatal("docs/comparison.md compares no losses")
	}
	found := 0
	for _, f := range figure.FindAllString(names.ReplaceAllString(text, ""), -1) {
		found++
		if plain := strings.ReplaceAll(f, ",", ""); !slices.Contains(measured, plain) && !slices.Contains(measured, f) {
			t.Errorf("docs/comparison.md says %s, which docs/loss.md does not: was the bench run again?", f)
		}
	}
	if found < 10 {
		t.Errorf("found only %d figures", found)
	}
}
