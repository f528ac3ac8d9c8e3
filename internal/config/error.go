package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pos is a place in a file. Lines count from 1; the zero Pos is nowhere.
type Pos struct {
	File string // as File.Path gives it
	Line int
}

// String returns "file:line".
func (p Pos) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Error is one fault in a configuration file.
type Error struct {
	File    string // as File.Path gives it
	Line    int    // of the first character of the line, where that is continued
	Section string // the section that the line stands in, without brackets; may be empty
	Message string // what is wrong
	Hint    string // what to write instead; may be empty
}

// Error returns one line, for example
//
//	myapp@.service:14: [X-Switcheroo] unknown key "Prot" (did you mean "Port"?)
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	b.WriteString(": ")
	if e.Section != "" {
		fmt.Fprintf(&b, "[%s] ", e.Section)
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

// Errors are all faults of one unit, or of the daemon's settings, in the order
// of the files and lines. ParseInstance and ParseDaemon never return an empty one.
type Errors []*Error

// Error returns one line a fault.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each Error.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// sorted returns e as an error in the order of files, or nil if it is empty.
func (e Errors) sorted(files []File) error {
	if len(e) == 0 {
		return nil
	}
	order := make(map[string]int, len(files))
	for i, f := range files {
		order[f.Path] = i
	}
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line))
	})
	return e
}

// fault is what is wrong with a value, before it is known where that stands.
type fault struct {
	message, hint string
}

// faultf returns a fault with a hint and a formatted message.
func faultf(hint, format string, args ...any) *fault {
	return &fault{message: fmt.Sprintf(format, args...), hint: hint}
}

// longest is how much of a text a message shows.
const longest = 80

// quote returns s in quotes, control characters escaped, and not all of a long one.
func quote(s string) string {
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}

// show is quote, but without quotes where s can do without.
func show(s string) string {
	if len(s) > longest || strings.ContainsFunc(s, func(c rune) bool { return c == utf8.RuneError || !unicode.IsPrint(c) }) {
		return quote(s)
	}
	return s
}
