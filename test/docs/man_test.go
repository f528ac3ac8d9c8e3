package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages returns the paths of all manual pages from the root.
func pages(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "docs/man/*.[0-9]"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d manual pages, %v", len(files), err)
	}
	var all []string
	for _, file := range files {
		all = append(all, strings.TrimPrefix(file, root+"/"))
	}
	return all
}

var (
	reference = regexp.MustCompile(`(?m)^\.Xr (switcheroo\S*) (\d)`)
	inProse   = regexp.MustCompile(`\b(switcheroo[a-z.-]*)\((\d)\)`)
)

var verb = regexp.MustCompile("(?m)(?:`|^(?:\\$ | {4})?)switcheroo ([a-z]+)\\b")

// TestVerbsThatAreNamedExist: what documents tell to type is a verb.
func TestVerbsThatAreNamedExist(t *testing.T) {
	verbs := map[string]bool{"help": true}
	for _, m := range manVerb.FindAllStringSubmatch(read(t, "docs/man/switcheroo.1"), -1) {
		verbs[m[1]] = true
	}
	found := 0
	for _, document := range documents(t) {
		for _, m := range verb.FindAllStringSubmatch(read(t, document), -1) {
			found++
			if !verbs[m[1]] {
				t.Errorf("%s says %q", document, m[0])
			}
		}
	}
	if found < 50 {
		t.Errorf("found only %d", found)
	}
}

// TestManPagesThatAreNamedExist: in the pages themselves, and in the documents.
func TestManPagesThatAreNamedExist(t *testing.T) {
	check := func(file string, found [][]string) {
		for _, m := range found {
			if _, err := os.Stat(filepath.Join(root, "docs/man", m[1]+"."+m[2])); err != nil {
				t.Errorf("%s names %s(%s): %v", file, m[1], m[2], err)
			}
		}
	}
	for _, page := range pages(t) {
		found := reference.FindAllStringSubmatch(read(t, page), -1)
		if len(found) == 0 {
			t.Errorf("%s names no other page of ours", page)
		}
		check(page, found)
	}
	for _, document := range documents(t) {
		check(document, inProse.FindAllStringSubmatch(read(t, document), -1))
	}
}
