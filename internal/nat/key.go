package nat

import (
	"crypto/sha256"
	"encoding/hex"
)

// Key stands for a service wherever its name does not fit: iptables cuts chain
// names at 28 characters. It is the first 16 hex digits of the name's SHA-256.
func Key(service string) string {
	return shortHash(service)
}

// ActivationKey stands for one activation of a service, like Key.
func ActivationKey(service, activation string) string {
	// A NUL is in neither, so no two pairs have the same text.
	return shortHash(service + "\x00" + activation)
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}
