package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// docs is where the documentation is on a host.
const docs = "/opt/test/docs"

// documents describe values.
var documents = []string{"api.md", "cli.md"}

var (
	valueHead = regexp.MustCompile(`^### (\w+)$`)
	fieldRow  = regexp.MustCompile("^\\| ((?:`\\w+`(?:, )?)+) \\| (.*) \\|$")
	fieldName = regexp.MustCompile("`(\\w+)`")
	valueLink = regexp.MustCompile(`\[(\w+)\]\((?:api\.md)?#\w+\)`)
)

// value is one that the documents describe: for each field the value that it is
// or lists, "" for one of JSON's own.
type value map[string]string

// described reads the tables of the documents.
func described() (map[string]value, error) {
	all := map[string]value{}
	for _, name := range documents {
		text, err := os.ReadFile(filepath.Join(docs, name))
		if err != nil {
			return nil, err
		}
		now := ""
		for l := range strings.Lines(string(text)) {
			l = strings.TrimSpace(l)
			if m := valueHead.FindStringSubmatch(l); m != nil {
				now = m[1]
			} else if strings.HasPrefix(l, "#") {
				now = ""
			}
			m := fieldRow.FindStringSubmatch(l)
			if now == "" || m == nil {
				continue
			}
			if all[now] == nil {
				all[now] = value{}
			}
			kind := ""
			if link := valueLink.FindStringSubmatch(m[2]); link != nil {
				kind = link[1]
			}
			for _, f := range fieldName.FindAllStringSubmatch(m[1], -1) {
				all[now][f[1]] = kind
			}
		}
	}
	return all, nil
}

// values wants what was printed last to be JSON values that the documents
// describe: the last argument is the kind of each, and with "lines" there is one
// a line. Every field must be described.
func values(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: values [lines] KIND")
	}
	kinds, err := described()
	ts.Check(err)
	kind := args[len(args)-1]
	printed := ts.ReadFile("stdout")
	d := json.NewDecoder(strings.NewReader(printed))
	n := 0
	for d.More() {
		var v any
		ts.Check(d.Decode(&v))
		count, err := conforms(kinds, kind, v, "")
		if err != nil {
			ts.Fatalf("%v\n%s", err, printed)
		}
		n += count
	}
	if n == 0 {
		ts.Fatalf("no value in %q", printed)
	}
	if len(args) == 2 && strings.Count(printed, "\n") != n {
		ts.Fatalf("%d values in %d lines", n, strings.Count(printed, "\n"))
	}
}

// conforms returns how many values of a kind v is, or why it is none.
func conforms(kinds map[string]value, kind string, v any, at string) (int, error) {
	fields, ok := kinds[kind]
	if !ok {
		return 0, fmt.Errorf("no document describes %s", kind)
	}
	switch v := v.(type) {
	case []any:
		for i, one := range v {
			if _, err := conforms(kinds, kind, one, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return 0, err
			}
		}
		return len(v), nil
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			inner, known := fields[name]
			if !known {
				return 0, fmt.Errorf("%s.%s: no document describes that field of %s", at, name, kind)
			}
			if inner == "" {
				continue
			}
			if _, err := conforms(kinds, inner, v[name], at+"."+name); err != nil {
				return 0, err
			}
		}
		return 1, nil
	}
	return 0, fmt.Errorf("%s: %v is no %s", at, v, kind)
}
