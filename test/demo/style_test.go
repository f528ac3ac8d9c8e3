package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStep(t *testing.T) {
	var b strings.Builder
	s := &screen{w: &b}
	s.step(at(0), step{At: at(0.25), Who: "switcherood", Text: "port 443 now leads to v2; open connections stay with v1"})
	s.step(at(0), step{At: at(12), Who: "v2", Text: "listening\x1b[2J"})
	s.step(at(0), step{At: at(-1), Who: "systemd", Text: strings.Repeat("word ", 15)})
	want := `   0.25 s  switcherood  port 443 now leads to v2; open connections stay with v1
  12.00 s  v2           listening [2J
   0.00 s  systemd      word word word word word word word word word word word
                        word word word word
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// Colour is for terminals whose user wants it.
func TestColour(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, test := range []struct {
		name          string
		noColor, term string
		f             *os.File
		want          bool
	}{
		{"a terminal", "", "xterm", terminal, true},
		{"a terminal, NO_COLOR", "1", "xterm", terminal, false},
		{"a dumb terminal", "", "dumb", terminal, false},
		{"a file", "", "xterm", file, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", test.noColor)
			t.Setenv("TERM", test.term)
			s := newScreen(test.f)
			want := "text"
			if test.want {
				want = "\x1b[1;32mtext\x1b[0m"
			}
			if got := s.paint("text", bold, green); got != want {
				t.Errorf("painted %q, want %q", got, want)
			}
		})
	}
}
