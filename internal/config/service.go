package config

import "strings"

// maxService is the longest name of a service. A unit's name is never longer,
// so that every unit has a default.
const maxService = maxUnitName

// parseService reads the name of a service. It has the characters of a unit's
// name, since it is one by default; "@" and "/" divide names elsewhere.
func parseService(s string) (string, *fault) {
	switch {
	case s == "":
		return "", faultf("write a name, such as myapp", "empty")
	case len(s) > maxService:
		return "", faultf("write a shorter one", "longer than %d characters", maxService)
	case !strings.ContainsRune(letters+digits+"_", rune(s[0])):
		return "", faultf("write a name, such as myapp", "does not begin with a letter, a digit or _")
	}
	for _, c := range s {
		if !strings.ContainsRune(unitChars, c) {
			return "", faultf(`a name has letters, digits and _ . : - \`, "%q cannot stand in a name", c)
		}
	}
	return s, nil
}

// service returns the name that the section gives, or the unit's own prefix.
func (r *reader) service(prefix string) string {
	if _, f := parseService(prefix); f != nil && len(r.values["Service"]) == 0 {
		r.fail(r.header, faultf("set Service=", "the unit's name gives the service none: %s", f.message))
	}
	return scalar(r, "Service", prefix, parseService)
}
