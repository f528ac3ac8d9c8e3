package config

import (
	"bytes"
	"slices"
)

// asking are what a unit's file says if its server gets its ports from the
// daemon, by name: the verb of the command line, and the credential's socket.
var asking = [][]byte{[]byte("switcheroo exec "), []byte("/switcheroo/credential.sock")}

// asksDaemon reports whether files look like those of a unit that asks for its
// ports.
func asksDaemon(files []File) bool {
	for _, f := range files {
		for line := range bytes.Lines(f.Data) {
			line = bytes.TrimLeft(line, whitespace)
			if len(line) == 0 || line[0] == '#' || line[0] == ';' {
				continue
			}
			if slices.ContainsFunc(asking, func(a []byte) bool { return bytes.Contains(line, a) }) {
				return true
			}
		}
	}
	return false
}
