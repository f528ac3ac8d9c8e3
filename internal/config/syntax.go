package config

import (
	"bytes"
	"iter"
	"strings"
	"unicode/utf8"
)

// maxLine is systemd's LONG_LINE_MAX: a line, continued or not, stays below it.
const maxLine = 1 << 20

// whitespace is what systemd trims.
const whitespace = " \t\n\r"

// statement is one logical line: a header, an assignment, or rubbish.
type statement struct {
	line  int    // where it begins
	text  string // joined and trimmed
	fault *fault // not nil: systemd would stop reading the file here
}

// statements yields the logical lines of a unit file as systemd's
// config_parse (src/shared/conf-parser.c) makes them, confirmed against
// systemd in TestSystemdReadsTheSame:
//
//   - "\n", "\r" and NUL end a line, as does any sequence of different ones,
//     so that CRLF is one end and LF LF are two;
//   - a line whose first non-blank is "#" or ";" is dropped before anything
//     else, so it neither ends a continuation nor begins one;
//   - an unescaped backslash at the end is replaced by a space and the next
//     line appended, untrimmed; a backslash at the end of the file as well;
//   - a byte order mark is dropped, once.
//
// Where systemd gives up on the whole file (NUL aside, which it takes for a
// line's end), the statement carries a fault and reading goes on, so that a
// fault in somebody else's section does not hide ours.
func statements(data []byte) iter.Seq[statement] {
	return func(yield func(statement) bool) {
		var (
			st   statement
			open bool // st ended in a backslash and awaits the next line
			text []byte
			bom  bool
		)
		for n := 1; len(data) > 0; n++ {
			line, rest, nul := cutLine(data)
			data = rest
			if !open {
				st, text = statement{line: n}, text[:0]
			}
			if nul {
				st.fault = faultf("remove it", "the line ends in a NUL byte")
			}
			if isComment(line) {
				if nul && !open && !yield(st) {
					return
				}
				continue
			}
			if !bom {
				line, bom = bytes.CutPrefix(line, []byte("\uFEFF"))
			}
			if len(line) >= maxLine || len(text)+len(line) > maxLine {
				st.fault = faultf("use several lines", "the line is longer than 1 MiB")
			} else {
				text = append(text, line...)
			}
			if open = continues(line); open {
				if len(text) > 0 {
					text[len(text)-1] = ' '
				}
				continue
			}
			if st.finish(text) && !yield(st) {
				return
			}
		}
		if open && st.finish(text) {
			yield(st)
		}
	}
}

// finish sets the text and reports whether there is anything to tell.
func (st *statement) finish(text []byte) bool {
	st.text = strings.Trim(string(text), whitespace)
	if st.fault == nil && !utf8.ValidString(st.text) {
		st.fault = faultf("save the file as UTF-8", "the line is not valid UTF-8")
	}
	return st.text != "" || st.fault != nil
}

// cutLine splits data after its first line; nul tells that NUL is among the
// characters that end it.
func cutLine(data []byte) (line, rest []byte, nul bool) {
	end := bytes.IndexAny(data, "\n\r\x00")
	if end < 0 {
		return data, nil, false
	}
	next := end
	for next < len(data) && !nul && strings.IndexByte("\n\r\x00", data[next]) >= 0 &&
		bytes.IndexByte(data[end:next], data[next]) < 0 {
		nul = data[next] == 0
		next++
	}
	return data[:end], data[next:], nul
}

func isComment(line []byte) bool {
	line = bytes.TrimLeft(line, whitespace)
	return len(line) > 0 && (line[0] == '#' || line[0] == ';')
}

// continues reports whether the line ends in a backslash that no other one escapes.
func continues(line []byte) bool {
	trailing := len(line) - len(bytes.TrimRight(line, `\`))
	return trailing%2 == 1
}
