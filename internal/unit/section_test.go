package unit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHasSection(t *testing.T) {
	tests := []struct {
		name, text string
		want       bool
	}{
		{"plain", "[Unit]\n[X-Switcheroo]\nListen=1\n", true},
		{"no newline at the end", "[X-Switcheroo]", true},
		{"blanks around", " \t[X-Switcheroo]  \r\n", true},
		{"byte order mark", "\uFEFF[X-Switcheroo]\n", true},
		{"another", "[X-Switcheroo2]\n[X-switcheroo]\n[Switcheroo]\n", false},
		{"blanks inside", "[ X-Switcheroo ]\n", false},
		{"text after", "[X-Switcheroo] # mine\n", false},
		{"in a comment", "#[X-Switcheroo]\n ;[X-Switcheroo]\n", false},
		{"in a value", "Description=[X-Switcheroo]\n", false},
		{"in a continued value", "Description=a \\\n[X-Switcheroo]\n", false},
		{"after a continued value", "Description=a \\\nb\n[X-Switcheroo]\n", true},
		{"a comment inside a continued value", "Description=a \\\n# no \\\n[X-Switcheroo]\n", false},
		{"a comment does not go on", "# a \\\n[X-Switcheroo]\n", true},
		{"two backslashes", "Description=a\\\\\n[X-Switcheroo]\n", true},
		{"a blank after the backslash", "Description=a\\ \n[X-Switcheroo]\n", true},
		{"continued from nothing", "\\\n[X-Switcheroo]\n", true},
		{"continued at the end", "[X-Switcheroo]\\\n", true},
		{"carriage returns", "[Unit]\r[X-Switcheroo]\r", true},
		{"a continued line, newline and carriage return", "Description=a \\\r\n[X-Switcheroo]\r\n", false},
		{"a continued line, and an empty one", "Description=a \\\n\n[X-Switcheroo]\n", true},
		{"empty", "", false},
	}
	for _, test := range tests {
		if got := hasSection([]byte(test.text), "X-Switcheroo"); got != test.want {
			t.Errorf("%s: hasSection(%q) = %v", test.name, test.text, got)
		}
	}
}

func TestLines(t *testing.T) {
	var got []string
	for line := range lines([]byte("a\nb\r\nc\n\rd\n\ne\r\r\x00f\x00\x00g\n\r\x00h")) {
		got = append(got, string(line))
	}
	want := []string{"a", "b", "c", "d", "", "e", "", "f", "", "g", "h"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzHasSection(f *testing.F) {
	for _, s := range []string{"[X-Switcheroo]\n", "a=b\\\n[X-Switcheroo]\r\n", "#\\\n;\n\x00\n\r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var all strings.Builder
		for line := range lines([]byte(text)) {
			if strings.ContainsAny(string(line), "\n\r\x00") {
				t.Fatalf("line %q", line)
			}
			all.Write(line)
		}
		if want := strings.NewReplacer("\n", "", "\r", "", "\x00", "").Replace(text); all.String() != want {
			t.Fatalf("lines of %q lose text: %q", text, all.String())
		}
		got := hasSection([]byte(text), "X")
		if got && !strings.Contains(text, "[X]") {
			t.Fatalf("hasSection(%q)", text)
		}
		// A section more at the end is always found, unless the text goes on
		// into it.
		if !strings.HasSuffix(text, `\`) && !hasSection([]byte(text+"\n\n[X]"), "X") {
			t.Fatalf("hasSection(%q) does not find the last one", text+"\n\n[X]")
		}
	})
}
