package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// self is this test's own program. It is a Go program, if one that does not tell
// its modules: test/packaging looks at those of what is shipped.
func self(t *testing.T) string {
	t.Helper()
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRunSaysTheSameTwice(t *testing.T) {
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := run([]string{"1.2.3", self(t)}, "1700000000", out); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(first.String(), second.String()); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
	var b bill
	if err := json.Unmarshal(first.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	if want := "2023-11-14T22:13:20Z"; b.Metadata.Timestamp != want {
		t.Errorf("its time is %q, not %q", b.Metadata.Timestamp, want)
	}
	if len(b.Components) != 2 || b.Components[1].PURL != "pkg:golang/stdlib@"+strings.TrimPrefix(runtime.Version(), "go") {
		t.Errorf("components: %+v", b.Components)
	}
}

func TestDescribe(t *testing.T) {
	one := program{name: "one", sha256: "aa", module: "m", modules: []module{{stdlib, "1.25.0", ""}, {"x/b", "v1.0.0", "h1:b"}}}
	two := program{name: "two", sha256: "bb", module: "m", modules: []module{{"x/a", "v2.0.0", "h1:a"}, {"x/b", "v1.0.0", "h1:b"}}}
	got, err := describe("1.2.3", []program{two, one}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(got.Serial) {
		t.Errorf("%q is no UUID", got.Serial)
	}
	got.Serial = ""
	want := bill{
		Schema: "http://cyclonedx.org/schema/bom-1.5.schema.json", Format: "CycloneDX", Spec: "1.5", Version: 1,
		Metadata: metadata{Component: component{Type: "application", Ref: "m", Name: "m", Version: "1.2.3"}},
		Components: []component{
			{Type: "application", Ref: "file:one", Name: "one", Version: "1.2.3", Hashes: []hash{{"SHA-256", "aa"}}},
			{Type: "application", Ref: "file:two", Name: "two", Version: "1.2.3", Hashes: []hash{{"SHA-256", "bb"}}},
			{Type: "library", Ref: "pkg:golang/stdlib@1.25.0", Name: stdlib, Version: "1.25.0", PURL: "pkg:golang/stdlib@1.25.0"},
			{Type: "library", Ref: "pkg:golang/x/a@v2.0.0", Name: "x/a", Version: "v2.0.0", PURL: "pkg:golang/x/a@v2.0.0", Properties: []property{{"go:sum", "h1:a"}}},
			{Type: "library", Ref: "pkg:golang/x/b@v1.0.0", Name: "x/b", Version: "v1.0.0", PURL: "pkg:golang/x/b@v1.0.0", Properties: []property{{"go:sum", "h1:b"}}},
		},
		Dependencies: []dependency{
			{"file:one", []string{"pkg:golang/stdlib@1.25.0", "pkg:golang/x/b@v1.0.0"}},
			{"file:two", []string{"pkg:golang/x/a@v2.0.0", "pkg:golang/x/b@v1.0.0"}},
			{"m", []string{"file:one", "file:two"}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name  string
		files []string
		epoch string
		want  string
	}{
		{"no program", []string{"1.2.3"}, "", "no programs: want their version and their names"},
		{"no such file", []string{"1.2.3", "none"}, "", "open none: no such file or directory"},
		{"no Go program", []string{"1.2.3", "main.go"}, "", "could not read Go build info from main.go: unrecognized file format"},
		{"no time", []string{"1.2.3", self(t)}, "today", `SOURCE_DATE_EPOCH: strconv.ParseInt: parsing "today": invalid syntax`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(tt.files, tt.epoch, new(bytes.Buffer))
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	a, b := program{name: "a", module: "m"}, program{name: "b", module: "n"}
	if _, err := describe("1.2.3", []program{a, b}, time.Time{}); err == nil {
		t.Error("programs of two modules are described as of one")
	}
}
