package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// width is what every line fits into, but for single words that don't.
const width = 80

// screen is where the story is told. It is used by one goroutine.
type screen struct {
	w      io.Writer
	colour bool
}

// newScreen returns a screen that uses colour if w is a terminal that has it,
// and the user did not ask for none (no-color.org).
func newScreen(w io.Writer) *screen {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return &screen{w: w}
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return &screen{w: w, colour: err == nil}
}

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s *screen) paint(text string, codes ...string) string {
	if !s.colour || text == "" || len(codes) == 0 {
		return text
	}
	return "\x1b[" + strings.Join(codes, ";") + "m" + text + "\x1b[0m"
}

func (m mood) codes() []string {
	switch m {
	case good:
		return []string{green}
	case bad:
		return []string{yellow}
	case faint:
		return []string{dim}
	}
	return nil
}

// moodOf returns the mood of a journal priority: errors and warnings stand out.
func moodOf(priority int) mood {
	const warning = 4
	if priority <= warning {
		return bad
	}
	return plain
}

// title begins a chapter.
func (s *screen) title(text string) {
	fmt.Fprintf(s.w, "\n%s\n", s.paint(text, bold))
}

// say prints a paragraph.
func (s *screen) say(format string, args ...any) {
	fmt.Fprintln(s.w)
	for _, line := range wrap(fmt.Sprintf(format, args...), width) {
		fmt.Fprintln(s.w, line)
	}
}

// prompt shows what the operator types.
func (s *screen) prompt(host string, args []string) {
	fmt.Fprintf(s.w, "\n%s %s\n", s.paint("root@"+host+":~#", cyan), s.paint(strings.Join(args, " "), bold))
}

// output shows what a command prints.
func (s *screen) output(text string) {
	for line := range strings.Lines(text) {
		for _, part := range wrap(strings.TrimRight(line, "\n"), width-indent) {
			fmt.Fprintln(s.w, strings.TrimRight(strings.Repeat(" ", indent)+part, " "))
		}
	}
}

const (
	indent    = 4
	whoColumn = 11 // "switcherood"
)

// step prints a step with its time since began.
func (s *screen) step(began time.Time, p step) {
	since := max(p.At.Sub(began), 0)
	head := fmt.Sprintf("%*.2f s  %-*s  ", indent+3, since.Seconds(), whoColumn, p.Who)
	room := width - utf8.RuneCountInString(head)
	for i, part := range wrap(printable(p.Text), room) {
		if i > 0 {
			head = strings.Repeat(" ", utf8.RuneCountInString(head))
		}
		fmt.Fprintln(s.w, s.paint(head, dim)+s.paint(part, p.Mood.codes()...))
	}
}

// verdict prints the last line of the story.
func (s *screen) verdict(r *result) {
	codes := []string{bold, green}
	if !r.OK {
		codes = []string{bold, red}
	}
	fmt.Fprintln(s.w)
	for _, line := range wrap(r.bottomLine(), width) {
		fmt.Fprintln(s.w, s.paint(line, codes...))
	}
}
