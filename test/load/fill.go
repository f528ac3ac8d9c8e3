package load

import (
	"encoding/binary"
	"math/rand/v2"
)

// fill fills b from rng.
func fill(rng *rand.Rand, b []byte) {
	var word [8]byte
	for len(b) > 0 {
		binary.LittleEndian.PutUint64(word[:], rng.Uint64())
		b = b[copy(b, word[:]):]
	}
}
