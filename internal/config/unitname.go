package config

import (
	"strconv"
	"strings"
)

const (
	maxUnitName = 255 // systemd's UNIT_NAME_MAX
	letters     = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits      = "0123456789"
	// unitChars are the characters of a unit's name, "@" aside.
	unitChars = letters + digits + `:_.\-`
)

// unitName is a unit's name in its parts: "prefix@instance.service" or
// "prefix.service".
type unitName struct {
	full     string
	stem     string // without suffix
	prefix   string
	instance string
	template bool // "prefix@.service"
}

func parseUnitName(s string) (unitName, *fault) {
	stem, isService := strings.CutSuffix(s, ".service")
	prefix, instance, isInstance := strings.Cut(stem, "@")
	switch {
	case !isService:
		return unitName{}, faultf("put the section into the service that listens", "unit %s is not a service", quote(s))
	case len(s) > maxUnitName, prefix == "", !only(stem, unitChars+"@"):
		return unitName{}, faultf("systemd has no unit of that name", "%s is not the name of a unit", quote(s))
	}
	return unitName{full: s, stem: stem, prefix: prefix, instance: instance, template: isInstance && instance == ""}, nil
}

// unescape undoes systemd-escape: "-" was "/", and "\x2d" was "-".
func unescape(s string) (string, *fault) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '-':
			b.WriteByte('/')
		case '\\':
			hex := s[i+1 : min(i+4, len(s))]
			c, err := strconv.ParseUint(strings.TrimPrefix(hex, "x"), 16, 8)
			if len(hex) != 3 || hex[0] != 'x' || err != nil {
				return "", faultf(`write it as systemd-escape does`, `no \xNN escape in %q at %q`, s, s[i:])
			}
			b.WriteByte(byte(c))
			i += 3
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

// only reports whether all of s is among chars.
func only(s, chars string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return !strings.ContainsRune(chars, c) })
}
