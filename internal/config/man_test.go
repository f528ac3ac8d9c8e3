package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// page reads a manual page of this tree.
func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/man/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	documented = regexp.MustCompile(`(?m)^\.It Cm (\w+)=`)
	byDefault  = regexp.MustCompile(`(?m)^Default:(?: |\n\.Cm )(\S+?) ?\.$`)
	example    = regexp.MustCompile(`(?ms)^\.Bd -literal -offset indent\n(.*?)\n\.Ed$`)
)

// TestManKeys holds the pages to the parser: they document its keys, all of
// them and no others.
func TestManKeys(t *testing.T) {
	for name, s := range map[string]*schema{"switcheroo.unit.5": instanceSchema, "switcherood.conf.5": daemonSchema} {
		var keys []string
		for _, m := range documented.FindAllStringSubmatch(page(t, name), -1) {
			keys = append(keys, m[1])
		}
		slices.Sort(keys)
		if diff := cmp.Diff(s.keys(), keys); diff != "" {
			t.Errorf("%s (-parser +page):\n%s", name, diff)
		}
	}
}

// TestManDefaults sets each key to the default that its page tells, which must
// change nothing.
func TestManDefaults(t *testing.T) {
	defaults := func(name string) (lines []string) {
		text := page(t, name)
		at := documented.FindAllStringSubmatchIndex(text, -1)
		for i, m := range at {
			end := len(text)
			if i+1 < len(at) {
				end = at[i+1][0]
			}
			if d := byDefault.FindStringSubmatch(text[m[0]:end]); d != nil {
				lines = append(lines, text[m[2]:m[3]]+"="+d[1])
			}
		}
		return lines
	}
	unset := claim(t, "a.service", "Listen=443\n")
	lines := defaults("switcheroo.unit.5")
	if want := len(instanceSchema.keys()) - 2; len(lines) != want { // all but Service= and Listen=
		t.Errorf("the page tells %d defaults, want %d: %q", len(lines), want, lines)
	}
	for _, line := range lines {
		if diff := cmp.Diff(unset, claim(t, "a.service", "Listen=443\n"+line), anAddr); diff != "" {
			t.Errorf("%s is not the default (-default +set):\n%s", line, diff)
		}
	}
	lines = defaults("switcherood.conf.5")
	if want := len(daemonSchema.keys()) - 1; len(lines) != want { // all but MetricsListen=
		t.Errorf("the page tells %d defaults, want %d: %q", len(lines), want, lines)
	}
	for _, line := range lines {
		d, err := ParseDaemon([]File{{"f", []byte("[Switcherood]\n" + line)}})
		if diff := cmp.Diff(daemonDefaults, d); diff != "" || err != nil {
			t.Errorf("%s is not the default: %v (-default +set):\n%s", line, err, diff)
		}
	}
}

// TestManExamples reads the examples as what they are examples of.
func TestManExamples(t *testing.T) {
	units, settings := 0, 0
	for _, name := range []string{"switcheroo.unit.5", "switcherood.conf.5", "switcheroo-deployment.7"} {
		for _, m := range example.FindAllStringSubmatch(page(t, name), -1) {
			files := []File{{"example", []byte(m[1])}}
			switch {
			case strings.Contains(m[1], "\n[X-Switcheroo]") || strings.HasPrefix(m[1], "[X-Switcheroo]"):
				units++
				if in, err := ParseInstance("myapp@20001.service", files); err != nil || in == nil {
					t.Errorf("%s: %v, %v, of\n%s", name, in, err, m[1])
				}
			case strings.Contains(m[1], "\n[Switcherood]"):
				settings++
				if _, err := ParseDaemon(files); err != nil {
					t.Errorf("%s: %v, of\n%s", name, err, m[1])
				}
			}
		}
	}
	if units != 8 || settings != 1 {
		t.Errorf("%d units and %d settings, want 8 and 1", units, settings)
	}
}
