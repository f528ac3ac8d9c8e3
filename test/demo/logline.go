package main

import (
	"strconv"
	"strings"
)

// fields are the key=value part of a line of the daemon's log.
type fields map[string]string

// parseLog splits a line of the daemon's log, `message: key=value ...`, where
// a value may be quoted as in Go. What is not of that form is all message.
func parseLog(line string) (message string, f fields) {
	// A message may itself have a colon: the fields begin at the first one
	// after which everything reads as fields.
	for from := 0; ; {
		i := strings.Index(line[from:], ": ")
		if i < 0 {
			return line, nil
		}
		if f, ok := parseFields(line[from+i+2:]); ok {
			return line[:from+i], f
		}
		from += i + 2
	}
}

// parseFields reads all of s, and says whether it could.
func parseFields(s string) (fields, bool) {
	f := fields{}
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		if !ok || key == "" || strings.ContainsAny(key, " \"`") {
			return nil, false
		}
		value, after, ok := cutValue(rest)
		if !ok {
			return nil, false
		}
		f[key] = value
		s = after
	}
	return f, len(f) > 0
}

// cutValue takes the value that s begins with, and the space behind it.
func cutValue(s string) (value, rest string, ok bool) {
	if s != "" && (s[0] == '"' || s[0] == '`') {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", false
		}
		if value, err = strconv.Unquote(quoted); err != nil {
			return "", "", false
		}
		rest = s[len(quoted):]
		if rest == "" {
			return value, "", true
		}
		rest, ok = strings.CutPrefix(rest, " ")
		return value, rest, ok
	}
	value, rest, _ = strings.Cut(s, " ")
	return value, rest, true
}
