package single

import (
	"regexp"
	"strconv"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Original is a process that the library of the same name, from before there
// was this one, has put rules in for: they stand in the built-in chains
// themselves, redirect by REDIRECT, and name the process by its pid alone.
type Original struct {
	PID     int
	Port    uint16 // private
	Scope   nat.Scope
	Targets []nat.Target
}

// The name is whatever stands between, colons and all.
var originalComment = regexp.MustCompile(`^SWITCHEROO:ns=(.*):port=([0-9]{1,5}):pid=([0-9]{1,10})$`)

// parseOriginal reads a comment of the original's.
func parseOriginal(comment string) (service string, o Original, ok bool) {
	m := originalComment.FindStringSubmatch(comment)
	if m == nil {
		return "", Original{}, false
	}
	o.Port = port(m[2])
	o.PID, _ = strconv.Atoi(m[3])
	return m[1], o, o.Port != 0
}
