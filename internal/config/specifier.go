package config

import "strings"

// specifiers are the characters that may follow a "%", for hints.
var specifiers = []string{"%i", "%I", "%p", "%P", "%n", "%N", "%j", "%J", "%%"}

// expand replaces systemd's specifiers in s. In a template, where the
// instance is not known, those that depend on it expand to what is there and
// known is false.
func (u unitName) expand(s string) (text string, known bool, f *fault) {
	var b strings.Builder
	known = true
	for {
		plain, rest, found := strings.Cut(s, "%")
		b.WriteString(plain)
		if !found {
			return b.String(), known, nil
		}
		if rest == "" {
			return "", false, faultf(`write "%%" for a percent sign`, `a single "%%" at the end`)
		}
		value := ""
		switch rest[0] {
		case '%':
			value = "%"
		case 'i':
			value, known = u.instance, known && !u.template
		case 'I':
			value, f = unescape(u.instance)
			known = known && !u.template
		case 'n':
			value, known = u.full, known && !u.template
		case 'N':
			value, known = u.stem, known && !u.template
		case 'p':
			value = u.prefix
		case 'P':
			value, f = unescape(u.prefix)
		case 'j':
			value = u.component()
		case 'J':
			value, f = unescape(u.component())
		default:
			name := "%" + firstRune(rest)
			return "", false, faultf(`expected `+oneOf(specifiers)+`; a percent sign is "%%"`, "unknown specifier %q", name)
		}
		if f != nil {
			return "", false, f
		}
		b.WriteString(value)
		s = rest[1:]
	}
}

// component is the last part of a prefix that "-" divides.
func (u unitName) component() string {
	return u.prefix[strings.LastIndexByte(u.prefix, '-')+1:]
}

func firstRune(s string) string {
	for i := range s {
		if i > 0 {
			return s[:i]
		}
	}
	return s
}
