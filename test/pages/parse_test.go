package pages

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	const page = "# A page\n\n" +
		"```ini\n# /etc/a.conf\nx=1\n```\n" +
		"<!-- test: meanwhile elsewhere -->\n```sh\nsleep 9\n```\n\n" +
		"<!-- test: fails 3 -->\n```console\n$ a\nout\n$ b\n```\n" +
		"```\nlook\n```\n" +
		"```sh\ntrue\nfalse\n```\n" +
		"<!-- test: another server -->\n" +
		"```python\n#!/usr/bin/python3\n# /opt/x\nprint()\n```\n" +
		"<!-- test: another server -->\n\n<!-- test: copied /y -->\n```sh\ndate\n```\n"
	got, err := parse("p", page)
	want := []step{
		{at: "p:3", kind: file, path: "/etc/a.conf", text: "# /etc/a.conf\nx=1\n"},
		{at: "p:8", text: "sleep 9\n", elsewhere: true, meanwhile: true},
		{at: "p:13", kind: console, text: "$ a\nout\n$ b\n", status: 3, console: []exchange{{"p:14", "a", "out\n"}, {"p:16", "b", ""}}},
		{at: "p:21", text: "true\nfalse\n"},
		{at: "p:26", kind: file, path: "/opt/x", text: "#!/usr/bin/python3\n# /opt/x\nprint()\n", part: 1},
		{at: "p:34", text: "date\n", copied: "/y", part: 2},
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(step{}, exchange{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What would be shown and not tried is refused.
func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ page, want string }{
		"indented code":     {"Do:\n\n    rm -rf x\n", "p:3: code that no test runs"},
		"a command shown":   {"```text\nnothing\nsystemctl start x\n```\n", "p:1: a command that no test runs: systemctl start x"},
		"a prompt shown":    {"```\n$ apt install x\n```\n", "a command that no test runs"},
		"a block of no use": {"```ini\nx=1\n```\n", "names no file"},
		"no end":            {"```sh\ntrue\n", "does not end"},
		"a strange fence":   {"```sh extra\n```\n", "not the beginning"},
		"output of nothing": {"```console\nout\n```\n", "output before"},
		"a typing mistake":  {"<!-- test: elswhere -->\n```sh\ntrue\n```\n", "unknown directive"},
		"nothing to direct": {"<!-- test: elsewhere -->\n\n```sh\ntrue\n```\n", "a block is missing"},
		"a file that fails": {"<!-- test: fails 1 -->\n```ini\n# /etc/x\n```\n", "unknown directive"},
		"no status":         {"<!-- test: fails often -->\n```sh\nfalse\n```\n", "no status"},
	} {
		if _, err := parse("p", c.page); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestAlike(t *testing.T) {
	for _, c := range []struct {
		shown, output string
		want          bool
	}{
		{"v2 is current (0.41s)", "v2 is current (12.3s)\n", true},
		{"v2 is current (0.41s)", "v3 is current (0.41s)\n", false},
		{"v2 is current (15s)", "v2 is current (1min 2s)\n", true},
		{"a  b", "a b\n", true},
		{"port 40123", "port 7", true},
		{"6", "6\n", true},
		{"6", "7\n", false},
		{"first\n...\nlast", "first\n1\n2\nlast\n", true},
		{"first\n...\nlast", "first\nlast\n", true},
		{"first\n...\nlast", "first\nlast\nmore\n", false},
		{"error: ... of 3", "error: some of 4\n", true},
		{"", "", true},
		{"", "something", false},
		{"something", "", false},
		{"a.b", "axb", false},
	} {
		if got := alike(c.shown, c.output); got != c.want {
			t.Errorf("%q and %q: %v", c.shown, c.output, got)
		}
	}
}
