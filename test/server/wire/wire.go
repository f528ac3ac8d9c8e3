// Package wire is what the servers under test and the clients of package load
// agree on beyond HTTP/1.1.
package wire

import "time"

// VersionHeader is in every response, and says which version of the server
// gave it.
const VersionHeader = "Version"

// Reset is the single byte that a server sends, in the place of a response,
// before it resets a connection of its own will.
const Reset = 'R'

// A stream is sent in chunks, one an Interval.
const (
	Chunk    = 16 << 10
	Interval = 50 * time.Millisecond
)

// StreamLength returns the number of bytes of a stream that lasts d.
func StreamLength(d time.Duration) int64 {
	return max(int64(d/Interval), 1) * Chunk
}

// Fill writes into b what a stream has from offset on. Bytes that are missing,
// doubled or out of place change the pattern.
func Fill(b []byte, offset int64) {
	for i := range b {
		n := uint64(offset + int64(i))
		b[i] = byte((n ^ n>>8 ^ n>>16) * 167)
	}
}
