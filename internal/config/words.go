package config

import "strings"

// words splits a list as systemd does: at whitespace, except within single or
// double quotes, which are removed; a backslash makes the next character an
// ordinary one.
func words(s string) ([]string, *fault) {
	var (
		all    []string
		word   strings.Builder
		inWord bool
		quote  rune
		escape bool
	)
	for _, c := range s {
		switch {
		case escape:
			word.WriteRune(c)
			escape = false
		case c == '\\':
			escape, inWord = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			quote, inWord = c, true
		case strings.ContainsRune(whitespace, c):
			if inWord {
				all = append(all, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	switch {
	case quote != 0:
		return nil, faultf("close it or leave quotes out", "a %c is never closed", quote)
	case escape:
		return nil, faultf("remove it", "nothing follows the last backslash")
	}
	if inWord {
		all = append(all, word.String())
	}
	return all, nil
}
