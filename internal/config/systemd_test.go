package config

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// analyze runs systemd-analyze, which has the parser of PID 1 and needs no
// running systemd, and returns what it prints.
func analyze(t *testing.T, dir string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Geteuid() != 0 {
			t.Skip("systemd-analyze is not installed, so there is nothing to compare with")
		}
		t.Fatal("systemd-analyze is not installed: install systemd")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = []string{"SYSTEMD_UNIT_PATH=" + dir, "SYSTEMD_LOG_LEVEL=debug", "LC_ALL=C.UTF-8"}
	cmd.WaitDelay = time.Second
	// A unit that does not load makes the status 1; its dump is missing then.
	// Standard error has the log, in the middle of the dumps' lines.
	out, _ := cmd.Output()
	return string(out)
}

// dumpHead begins the dump of a unit, in 252 and in 257.
var dumpHead = regexp.MustCompile(`^(?:->|→) Unit (.+):$`)

// dumps returns, for each unit, the lines that systemd prints of it with the
// given label ("Description").
func dumps(t *testing.T, units map[string]string, label string) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"verify", "--man=no", "--recursive-errors=no"}
	for name, text := range units {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	got := make(map[string][]string)
	unit := ""
	for line := range strings.Lines(analyze(t, dir, args...)) {
		line = strings.Trim(line, "\n\t")
		if m := dumpHead.FindStringSubmatch(line); m != nil {
			unit = m[1]
			got[unit] = nil
		}
		if text, ok := strings.CutPrefix(line, label+": "); ok {
			got[unit] = append(got[unit], text)
		}
	}
	return got
}

// TestSystemdReadsTheSame holds our reading of a file against that of the
// installed systemd, by its own account ("systemd-analyze verify" prints what
// it has read). Confirmed with 252 and 257: joining and what a comment, a blank line,
// an escaped backslash and the end of the file do to it, all ends of lines,
// the byte order mark, sections that come twice, an empty value, and the
// longest line.
func TestSystemdReadsTheSame(t *testing.T) {
	const head = "[Unit]\nDescription="
	cases := []struct{ name, file, want string }{
		{"plain", head + "one two\n", "one two"},
		{"no end of line", head + "one", "one"},
		{"blanks", "[Unit]\n \t Description \t=\t one \t\n", "one"},
		{"equals sign", head + "a=b\n", "a=b"},
		{"quotes stay", head + "\"one\" 'two'\n", `"one" 'two'`},
		{"continued", head + "one\\\n two \\\n\tthree\n", "one  two  \tthree"},
		{"continued key", "[Unit]\nDescription\\\n=\\\none\n", "one"},
		{"continued header", "[Un\\\nit]\nDescription=one\n[Unit]\nDescription=two\n", "two"},
		{"comments within a continuation", head + "one\\\n# no\\\n  ; nor this\ntwo\n", "one two"},
		{"blank line within a continuation", head + "one\\\n\nDocumentation=man:x\n", "one"},
		{"line of blanks within a continuation", head + "one\\\n  \nDocumentation=man:x\n", "one"},
		{"continued to the end", head + "one\\", "one"},
		{"escaped backslash", head + "one\\\\\nDocumentation=man:x\n", `one\\`},
		{"three backslashes", head + "one\\\\\\\ntwo\n", `one\\ two`},
		{"blank behind the backslash", head + "one\\ \nDocumentation=man:x\n", `one\`},
		{"comment that ends in a backslash", "[Unit]\n# no\\\nDescription=one\n", "one"},
		{"no comment behind a value", head + "one # two\n", "one # two"},
		{"CRLF", "[Unit]\r\nDescription=one\\\r\ntwo\r\n", "one two"},
		{"CR", "[Unit]\rDescription=one\rDocumentation=man:x\r", "one"},
		{"LF CR", "[Unit]\n\rDescription=one\\\n\rtwo\n\r", "one two"},
		{"LF CR LF is a blank line", head + "one\\\n\r\ntwo=2\n", "one"},
		{"byte order mark", "\uFEFF[Unit]\nDescription=one\n", "one"},
		{"comment behind a byte order mark", "\uFEFF# no\n[Unit]\nDescription=one\n", "one"},
		{"last one counts", head + "one\nDescription=two\n", "two"},
		{"empty resets", head + "one\nDescription=\n", ""},
		{"section twice", head + "one\n[X-Other]\nDescription=no\n[Unit]\nDescription=two\n", "two"},
		{"other sections", "[X-Unit]\nDescription=no\n[ Unit]\nDescription=no\n[unit]\nDescription=no\n" + head + "one\n", "one"},
		{"other keys", head + "one\ndescription=two\nX-Description=three\n", "one"},
		{"line without equals sign", head + "one\nDescription two\n", "one"},
		{"line without key", head + "one\n=two\n", "one"},
		{"form feed is no blank", head + "one\f\n", "one\f"},
		{"longest line", "[X-Other]\n" + strings.Repeat("x", maxLine-1) + "\n" + head + "one\n", "one"},
	}
	units := make(map[string]string)
	for i, tc := range cases {
		units[fmt.Sprintf("case%d.target", i)] = tc.file
	}
	all := dumps(t, units, "Description")
	for i, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			unit := fmt.Sprintf("case%d.target", i)
			theirs := all[unit]
			if len(theirs) != 1 {
				t.Fatalf("systemd did not read %.80q", tc.file)
			}
			if theirs[0] == unit { // what a unit without one is called
				theirs[0] = ""
			}
			if theirs[0] != tc.want {
				t.Errorf("systemd reads %q, the table says %q", theirs[0], tc.want)
			}
			s := &schema{name: "Unit", scalar: []string{"Description"}}
			got := ""
			for _, v := range readSection(s, []File{{Data: []byte(tc.file)}}).values["Description"] {
				got = v.text
			}
			if got != tc.want {
				t.Errorf("we read %q, want %q", got, tc.want)
			}
		})
	}
}

// TestSystemdGivesUp pins where systemd reads no further in a file and we do,
// so that a fault in another section does not hide ours.
func TestSystemdGivesUp(t *testing.T) {
	for i, file := range []string{
		"[X-Other]\n" + strings.Repeat("x", maxLine) + "\n",
		"[X-Other]\n" + strings.Repeat(strings.Repeat("x", maxLine/4)+"\\\n", 4),
		"[X-Other\n",
		"[X-Other]\na=\xff\n",
	} {
		unit := fmt.Sprintf("case%d.target", i)
		if _, read := dumps(t, map[string]string{unit: file + "[Unit]\nDescription=one\n"}, "Description")[unit]; read {
			t.Errorf("systemd reads %.40q to the end", file)
		}
		in, err := ParseInstance("a.service", []File{{"a.service", []byte(file + "\n[X-Switcheroo]\nListen=443\n")}})
		if err != nil || in == nil {
			t.Errorf("after %.40q: %v, %v", file, in, err)
		}
	}
}

// TestSystemdTakesNUL pins the one line that systemd accepts and we do not: a
// NUL ends it, for both, but nobody wrote it on purpose.
func TestSystemdTakesNUL(t *testing.T) {
	const file = "[Unit]\x00Description=one\x00\n[X-Switcheroo]\nListen=443\x00Listen=444\n"
	if got := dumps(t, map[string]string{"a.target": file}, "Description")["a.target"]; !cmp.Equal(got, []string{"one"}) {
		t.Errorf("systemd reads %q", got)
	}
	_, err := ParseInstance("a.service", []File{{"a.service", []byte(file)}})
	const want = "a.service:5: [X-Switcheroo] the line ends in a NUL byte (remove it)"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one that has %q", err, want)
	}
}

// TestSystemdExpandsTheSame holds our specifiers against systemd's.
func TestSystemdExpandsTheSame(t *testing.T) {
	const text = "[%i] [%I] [%p] [%P] [%n] [%N] [%j] [%J] [%%] [%%i]"
	file := "[Unit]\nDescription=" + text + "\n[Service]\nExecStart=/bin/true\n"
	units := map[string]string{
		"plain.service":                 "",
		"a-b-c.service":                 "",
		`x\x2dy-z.service`:              "",
		"myapp@v2.service":              "",
		"myapp@v2.0.1.service":          "",
		"a-b@c-d.service":               "",
		`a\x2db-c@d-\x2de\x40f.service`: "",
		"a@b@c.service":                 "",
		`a@-\x2f.service`:               "",
		`a@\xc3\xa4.service`:            "",
	}
	for name := range units {
		units[name] = file
	}
	theirs := dumps(t, units, "Description")
	for name := range units {
		u, bad := parseUnitName(name)
		if bad != nil {
			t.Fatal(bad)
		}
		got, known, f := u.expand(text)
		if f != nil || !known {
			t.Fatalf("%s: known %t, %v", name, known, f)
		}
		if diff := cmp.Diff(theirs[name], []string{got}); diff != "" {
			t.Errorf("%s (-systemd +ours):\n%s", name, diff)
		}
	}
}

// TestSystemdSplitsTheSame holds our words against those of Environment=.
func TestSystemdSplitsTheSame(t *testing.T) {
	for i, list := range []string{
		`A=1 B=2`, `"A=1 2" 'B=3 "4'`, `A="1 2" B='3'4`, "A=1\t \tB=2", `A="" B=''`, `A=1"`, `'A=1`,
	} {
		unit := fmt.Sprintf("case%d.service", i)
		file := "[Service]\nExecStart=/bin/true\nEnvironment=" + list + "\n"
		theirs := dumps(t, map[string]string{unit: file}, "Environment")[unit]
		ours, f := words(list)
		if f != nil { // systemd keeps the words before the fault; we refuse the line
			ours = nil
			theirs = theirs[:0:0]
		}
		if diff := cmp.Diff(theirs, ours); diff != "" && len(theirs)+len(ours) > 0 {
			t.Errorf("%s (-systemd +ours):\n%s", list, diff)
		}
	}
}

// TestSystemdMeasuresTheSame holds our timespans against systemd's.
func TestSystemdMeasuresTheSame(t *testing.T) {
	for _, span := range timespans {
		out := []byte(analyze(t, t.TempDir(), "timespan", "--", span))
		_, line, found := bytes.Cut(out, []byte("μs: "))
		theirs, valid := int64(-1), found
		if found {
			if _, err := fmt.Sscan(string(line), &theirs); err != nil {
				valid = false // infinity does not fit
			}
		}
		d, err := ParseTimespan(span)
		switch {
		case span == "infinity":
			if !found || d != Infinity {
				t.Errorf("infinity: systemd %t, ours %v", found, d)
			}
		case (err == nil) != found:
			t.Errorf("%q: systemd accepts it: %t; we say %v", span, found, err)
		case err == nil && (!valid || d.Microseconds() != theirs):
			t.Errorf("%q: systemd %d µs, ours %d µs", span, theirs, d.Microseconds())
		}
	}
}

// timespans are valid and invalid ones on which systemd and we agree.
var timespans = []string{
	"0", "1", "30", "30s", "+5", "007", "5min", "1h 30min", "1h30min", "1h 30", "1 2", " 7 ", "500ms", "1us", "1µs", "1μs",
	"1.5", "1.5h", ".5", "5 .5", "0.0000019s", "1.23456789min", "1.5us", "2 weeks", "1M", "1m", "1y", "1 year 2 months", "1d 2hr 3sec",
	"3 usec 4 msec", "100y", "infinity", "1.999999999y",
	"", " ", "-1", "1 -1", "-", "+", "+.5", ".", "5.", "5.s", "1.2.3", "5 mins", "5mins", "5x", "s", "min", "1e3", "0x10", "5S", "infinity 1",
	"1 infinity", "5s!", "5,5", "5–6", "9223372036854775807", "99999999999999999999",
}
