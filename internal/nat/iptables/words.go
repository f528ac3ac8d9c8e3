package iptables

import (
	"errors"
	"strings"
)

var errQuote = errors.New("unfinished quoted word")

// split cuts a line of iptables-save into words. Words with anything but
// letters, digits, '-' and '_' may be in double quotes, with backslashes before
// quotes and backslashes (xtables_save_string in libxtables).
func split(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, nil
		}
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			words = append(words, word)
			line = rest
			continue
		}
		word, rest, err := unquote(line[1:])
		if err != nil {
			return nil, err
		}
		words = append(words, word)
		line = rest
	}
}

// unquote reads up to the closing quote.
func unquote(line string) (word, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case '"':
			return b.String(), line[i+1:], nil
		case '\\':
			i++
			if i == len(line) {
				return "", "", errQuote
			}
			b.WriteByte(line[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errQuote
}

// quote is the inverse of split for one word.
func quote(word string) string {
	if word != "" && strings.IndexFunc(word, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_')
	}) < 0 {
		return word
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(word) {
		if word[i] == '"' || word[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(word[i])
	}
	b.WriteByte('"')
	return b.String()
}

// Words cuts a line that iptables-save or "iptables -S" printed into words, as
// they are to be given to iptables.
func Words(line string) ([]string, error) { return split(line) }
