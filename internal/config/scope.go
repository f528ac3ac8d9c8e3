package config

import "strings"

// Scope says whose connections are redirected.
type Scope uint8

const (
	Network   Scope = 1 << iota // connections that arrive at this host
	Localhost                   // connections that this host opens to itself
	Everyone  = Network | Localhost
)

// String returns what Scope= would say.
func (s Scope) String() string {
	switch s {
	case Network:
		return "network"
	case Localhost:
		return "localhost"
	case Everyone:
		return "both"
	}
	return "none"
}

// parseScope reads one or several words, which add up.
func parseScope(s string) (Scope, *fault) {
	var sum Scope
	for _, word := range strings.Fields(s) {
		switch word {
		case "network":
			sum |= Network
		case "localhost":
			sum |= Localhost
		case "both":
			sum |= Everyone
		default:
			return 0, faultf(suggest(word, []string{"network", "localhost", "both"}), "unknown scope %s", quote(word))
		}
	}
	if sum == 0 {
		return 0, faultf("expected network, localhost or both", "empty")
	}
	return sum, nil
}
