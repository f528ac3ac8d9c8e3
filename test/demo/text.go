package main

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// printable returns text without what would move a terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// wrap breaks text into lines of at most width characters, at spaces, keeping
// the indentation of its first line.
func wrap(text string, width int) []string {
	if utf8.RuneCountInString(text) <= width {
		return []string{text} // with all its spaces
	}
	lead := text[:len(text)-len(strings.TrimLeft(text, " "))]
	var lines []string
	line := lead
	for _, word := range strings.Fields(text) {
		switch {
		case line == lead:
			line += word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = lead + word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// human returns a time as people say it: 3 s, 1.3 s, 14 ms, 0.3 ms.
func human(d time.Duration) string {
	switch {
	case d >= time.Second:
		return decimals(d.Seconds(), 1) + " s"
	case d >= 10*time.Millisecond:
		return decimals(1e3*d.Seconds(), 0) + " ms"
	}
	return decimals(1e3*d.Seconds(), 1) + " ms"
}

// decimals returns f with at most n decimals, none of them a trailing zero.
func decimals(f float64, n int) string {
	text := strconv.FormatFloat(f, 'f', n, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// count returns n with its thousands apart: 12,345.
func count(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
