package single

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/switcheroo/switcheroo/internal/nat"
)

const (
	chainPrefix  = "SWL-"
	daemonPrefix = "SW-"
	keyLen       = 16 // of nat.Key
	shortLen     = 12 // of the key, in a generation's chain
	idLen        = 8
	noteWord     = "switcheroo"
)

// MaxName is how long a service's name may be, in bytes: a comment ends at 255.
const MaxName = 180

// CheckName reports a name that does not fit into a rule's comment.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("no service name")
	case len(name) > MaxName:
		return fmt.Errorf("service name of %d bytes: at most %d", len(name), MaxName)
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		return fmt.Errorf("service name %q: control character", name)
	}
	return nil
}

func serviceChain(key string) string { return chainPrefix + key }

func generationChain(key, id string) string { return chainPrefix + key[:shortLen] + "-" + id }

// newID names a generation's chain. It is random: a process may have several.
func newID() string {
	var b [idLen / 2]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// parseChain takes a chain's name apart: key is whole for a service, and short
// for a generation, which has an id.
func parseChain(chain string) (key, id string, ours bool) {
	name, ours := strings.CutPrefix(chain, chainPrefix)
	if !ours {
		return "", "", false
	}
	key, id, isGeneration := strings.Cut(name, "-")
	if isGeneration {
		return key, id, isHex(key, shortLen) && isHex(id, idLen)
	}
	return key, "", isHex(key, keyLen)
}

func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// bases are the built-in chains that a service's chain is hooked into.
var bases = []struct {
	chain string
	scope nat.Scope
}{
	{"PREROUTING", nat.Network},
	{"OUTPUT", nat.Localhost},
}
