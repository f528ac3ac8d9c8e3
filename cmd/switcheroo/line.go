package main

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// More moods, beside those of steps.
const (
	strong mood = "1"
	faint  mood = "2"
	broken mood = "31"
)

// span is a piece of a line.
type span struct {
	text string
	mood mood
}

// line is one line of output.
type line []span

// text returns a line without colours.
func text(s string) line { return line{{s, plain}} }

// style says whether lines are coloured.
type style struct{ colour bool }

const ellipsis = "..."

// render returns l for a terminal so wide; 0 is for what is none, where nothing
// is cut off.
func (s style) render(l line, columns int) string {
	if columns > 0 && l.width() > columns {
		l = l.cut(columns)
	}
	var b strings.Builder
	for i, p := range l {
		if i == len(l)-1 {
			p.text = strings.TrimRight(p.text, " ")
		}
		if s.colour && p.mood != plain && p.text != "" {
			b.WriteString("\x1b[" + string(p.mood) + "m" + p.text + "\x1b[0m")
		} else {
			b.WriteString(p.text)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// width is how many columns l takes.
func (l line) width() (n int) {
	for _, p := range l {
		n += utf8.RuneCountInString(p.text)
	}
	return n
}

// cut returns the beginning of l, and a sign that there is more.
func (l line) cut(columns int) line {
	left := max(columns-len(ellipsis), 0)
	var cut line
	for _, p := range l {
		n := utf8.RuneCountInString(p.text)
		if n > left {
			p.text = string([]rune(p.text)[:left])
		}
		cut = append(cut, p)
		if left -= min(n, left); left == 0 {
			break
		}
	}
	return append(cut, span{ellipsis[:min(columns, len(ellipsis))], plain})
}

// table is rows in columns. The last column may have any width.
type table struct {
	legend []string
	right  []int // columns that are aligned to the right
	rows   []row
}

// row is one of a table, and lines that follow it.
type row struct {
	cells []span
	more  []line
}

func (t *table) add(cells ...span) *row {
	t.rows = append(t.rows, row{cells: cells})
	return &t.rows[len(t.rows)-1]
}

// lines returns the table, with the legend unless that is not wanted.
func (t *table) lines(legend bool) []line {
	rows := t.rows
	if legend {
		head := make([]span, len(t.legend))
		for i, name := range t.legend {
			head[i] = span{name, faint}
		}
		rows = slices.Concat([]row{{cells: head}}, rows)
	}
	widths := make([]int, len(t.legend))
	for _, r := range rows {
		for i, c := range r.cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	var all []line
	for _, r := range rows {
		var l line
		for i, c := range r.cells {
			blanks := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			switch {
			case slices.Contains(t.right, i):
				l = append(l, span{blanks, plain}, c)
			case i < len(r.cells)-1:
				l = append(l, c, span{blanks, plain})
			default:
				l = append(l, c)
			}
			if i < len(r.cells)-1 {
				l = append(l, span{"  ", plain})
			}
		}
		all = append(append(all, l), r.more...)
	}
	return all
}

// wrap breaks lead and a text into lines of at most columns, all but the first
// indented. A word that is longer has a line of its own; 0 columns are any
// number.
func wrap(lead, s string, indent, columns int) []string {
	if columns == 0 || utf8.RuneCountInString(lead+s) <= columns {
		return []string{lead + s}
	}
	var all []string
	now := lead
	for i, word := range strings.Fields(s) {
		switch {
		case i == 0:
			now += word
		case utf8.RuneCountInString(now)+1+utf8.RuneCountInString(word) > columns:
			all, now = append(all, now), strings.Repeat(" ", indent)+word
		default:
			now += " " + word
		}
	}
	return append(all, now)
}
