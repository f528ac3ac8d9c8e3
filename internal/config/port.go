package config

import (
	"strconv"
	"strings"
)

const portHint = "a port is a number from 1 to 65535"

// parsePort reads the number of a port.
func parsePort(s string) (uint16, *fault) {
	number, slash, _ := strings.Cut(s, "/")
	switch {
	case slash == "tcp":
		return 0, faultf("write "+number, "TCP is all there is")
	case s == "":
		return 0, faultf(portHint, "no port")
	case !only(s, digits):
		return 0, faultf(portHint, "%s is not a port", quote(s))
	case len(s) > 1 && s[0] == '0':
		return 0, faultf(portHint, "port %s begins with a zero", show(s))
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, faultf(portHint, "port %s is out of range", show(s))
	}
	return uint16(n), nil
}
