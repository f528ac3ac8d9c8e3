package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// said is a statement without its pointer, for comparison.
type said struct {
	Line        int
	Text, Fault string
}

func say(data string) []said {
	var all []said
	for st := range statements([]byte(data)) {
		s := said{Line: st.line, Text: st.text}
		if st.fault != nil {
			s.Fault = st.fault.message
		}
		all = append(all, s)
	}
	return all
}

func TestStatements(t *testing.T) {
	const (
		nul  = "the line ends in a NUL byte"
		utf8 = "the line is not valid UTF-8"
	)
	for _, tc := range []struct {
		name, data string
		want       []said
	}{
		{"empty", "", nil},
		{"blank lines count", "\n \t\na=1\n\nb=2", []said{{3, "a=1", ""}, {5, "b=2", ""}}},
		{"comments", "# a=1\n ; b=2\nc=3 # not one\n", []said{{3, "c=3 # not one", ""}}},
		{"trimmed", " \ta = 1 \t\n", []said{{1, "a = 1", ""}}},
		{"continued", "a=1 \\\n  2\\\n3\nb=4\n", []said{{1, "a=1    2 3", ""}, {4, "b=4", ""}}},
		{"comments within a continuation", "a=1\\\n# x\\\n\t; y\n2\nb=3", []said{{1, "a=1 2", ""}, {5, "b=3", ""}}},
		{"a blank line ends a continuation", "a=1\\\n\nb=2", []said{{1, "a=1", ""}, {3, "b=2", ""}}},
		{"continued to the end of the file", "a=1\\", []said{{1, "a=1", ""}}},
		{"continued to the end of the file, by a comment", "a=1\\\n# x", []said{{1, "a=1", ""}}},
		{"a comment continues nothing", "# x\\\na=1", []said{{2, "a=1", ""}}},
		{"an escaped backslash continues nothing", "a=1\\\\\nb=2", []said{{1, `a=1\\`, ""}, {2, "b=2", ""}}},
		{"three backslashes do", "a=1\\\\\\\nb=2", []said{{1, `a=1\\ b=2`, ""}}},
		{"a blank behind the backslash", "a=1\\ \nb=2", []said{{1, `a=1\`, ""}, {2, "b=2", ""}}},
		{"only a backslash", "\\\n\\\na=1", []said{{1, "a=1", ""}}},
		{"CRLF", "a=1\\\r\n2\r\n\r\nb=3\r\n", []said{{1, "a=1 2", ""}, {4, "b=3", ""}}},
		{"CR alone", "a=1\rb=2\r\rc=3", []said{{1, "a=1", ""}, {2, "b=2", ""}, {4, "c=3", ""}}},
		{"LF CR", "a=1\n\rb=2", []said{{1, "a=1", ""}, {2, "b=2", ""}}},
		{"byte order mark", "\uFEFFa=1\nb=2", []said{{1, "a=1", ""}, {2, "b=2", ""}}},
		{"NUL ends a line", "a=1\x00b=2\r\n\x00c=3", []said{{1, "a=1", nul}, {2, "b=2", nul}, {3, "c=3", ""}}},
		{"NUL in a comment", "# x\x00a=1", []said{{1, "", nul}, {2, "a=1", ""}}},
		{"NUL in a comment within a continuation", "a=1\\\n# x\x002\nb=3", []said{{1, "a=1 2", nul}, {4, "b=3", ""}}},
		{"not UTF-8", "a=\xff\nb=2", []said{{1, "a=\xff", utf8}, {2, "b=2", ""}}},
		{"UTF-8", "a=é", []said{{1, "a=é", ""}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, say(tc.data)); diff != "" {
				t.Errorf("statements of %q (-want +got):\n%s", tc.data, diff)
			}
		})
	}
}

func TestLongLines(t *testing.T) {
	const fault = "the line is longer than 1 MiB"
	piece := strings.Repeat("x", 1<<18-1) // with its space, a quarter of the limit
	for _, tc := range []struct {
		name, data string
		fault      string
	}{
		{"as long as can be", "a=" + strings.Repeat("x", maxLine-3), ""},
		{"one more", "a=" + strings.Repeat("x", maxLine-2), fault},
		{"joined, as long as can be", strings.Repeat(piece+"\\\n", 4), ""},
		{"joined, one more", strings.Repeat(piece+"\\\n", 4) + "x", fault},
		{"a comment of any length", "# " + strings.Repeat("x", 2*maxLine) + "\na=1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := say(tc.data + "\nz=1")
			if len(got) != 2 || got[0].Fault != tc.fault {
				t.Fatalf("%d statements, the first with fault %q; want 2 and %q", len(got), got[0].Fault, tc.fault)
			}
			if want := "z=1"; got[1].Text != want {
				t.Errorf("the line after it is %.20q, want %q", got[1].Text, want)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for _, tc := range []struct {
		in    string
		want  []string
		fault string
	}{
		{"", nil, ""},
		{" \t ", nil, ""},
		{"a  b\tc", []string{"a", "b", "c"}, ""},
		{`"a b" 'c "d'`, []string{"a b", `c "d`}, ""},
		{`a"b c"d`, []string{"ab cd"}, ""},
		{`"" x`, []string{"", "x"}, ""},
		{`a\ b \"c\\`, []string{"a b", `"c\`}, ""},
		{`"a`, nil, `a " is never closed`},
		{`a'`, nil, `a ' is never closed`},
		{`a\`, nil, "nothing follows the last backslash"},
	} {
		got, f := words(tc.in)
		fault := ""
		if f != nil {
			fault = f.message
		}
		if diff := cmp.Diff(tc.want, got); diff != "" || fault != tc.fault {
			t.Errorf("words(%q): fault %q, want %q (-want +got):\n%s", tc.in, fault, tc.fault, diff)
		}
	}
}

func TestNearest(t *testing.T) {
	keys := instanceSchema.keys()
	for word, want := range map[string]string{
		"Prot": "Port", "Prto": "Port", "port": "Port", "Ports": "Port", "PORT": "Port",
		"ListenStream": "Listen", "Lsiten": "Listen", "Drain": "DrainSec", "ProbeTimeout": "ProbeTimeoutSec",
		"Gaurd": "Guard", "Standby": "StandbySec", "probe": "Probe",
		"ExecStart": "", "Restart": "", "X": "", "": "", "Li": "",
		strings.Repeat("Port", 1000): "Port",
		strings.Repeat("y", 1000):    "",
	} {
		if got := nearest(word, keys); got != want {
			t.Errorf("nearest(%.20q) = %q, want %q", word, got, want)
		}
	}
}
