package unit

import (
	"bytes"
	"iter"
)

// carries reports whether one of the files has the section.
func carries(files []File, section string) bool {
	for _, f := range files {
		if hasSection(f.Data, section) {
			return true
		}
	}
	return false
}

// hasSection reports whether a line in the text of a unit file opens the
// section, reading lines as systemd does (config_parse in
// src/shared/conf-parser.c): one that ends in a backslash goes on in the next,
// and comments are skipped even in between.
func hasSection(text []byte, section string) bool {
	header := []byte("[" + section + "]")
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	var line []byte // as continued so far
	for part := range lines(text) {
		if t := bytes.TrimLeft(part, " \t"); len(t) > 0 && (t[0] == '#' || t[0] == ';') {
			continue
		}
		line = append(line, part...)
		if backslashes := len(part) - len(bytes.TrimRight(part, `\`)); backslashes%2 == 1 {
			line[len(line)-1] = ' '
			continue
		}
		if bytes.Equal(bytes.Trim(line, " \t"), header) {
			return true
		}
		line = line[:0]
	}
	return bytes.Equal(bytes.Trim(line, " \t"), header)
}

// lines splits text at each newline, carriage return and NUL, of which two
// different ones in a row are one end of line (read_line_full in
// src/basic/fileio.c).
func lines(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(text) > 0 {
			end := bytes.IndexAny(text, "\n\r\x00")
			if end < 0 {
				yield(text)
				return
			}
			line, rest := text[:end], text[end+1:]
			for ends := text[end : end+1]; len(rest) > 0 && bytes.IndexByte([]byte("\n\r\x00"), rest[0]) >= 0 &&
				bytes.IndexByte(ends, rest[0]) < 0; rest = rest[1:] {
				ends = text[end : end+len(ends)+1]
			}
			text = rest
			if !yield(line) {
				return
			}
		}
	}
}
