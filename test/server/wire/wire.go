// Package wire is what the servers under test and the clients of package load
// agree on beyond HTTP/1.1.
package wire

import (
	"fmt"
	"time"
)

// VersionHeader is in every response, and says which version of the server
// gave it.
const VersionHeader = "Version"

// Reset is the single byte that a server sends, in the place of a response,
// before it resets a connection of its own will.
const Reset = 'R'

// The raw echo begins with one line of the client's, EchoLine, and one of the
// server's, which is its version. Then the server sends back as many bytes as
// the client asked for, and is the first to close.

// MaxEcho bounds the bytes of one echo.
const MaxEcho = 1 << 30

// EchoLine returns the line that asks for an echo of n bytes.
func EchoLine(n int64) string { return fmt.Sprintf("echo %d\n", n) }

// ParseEcho returns the n of EchoLine.
func ParseEcho(line string) (n int64, err error) {
	if _, err := fmt.Sscanf(line, "echo %d\n", &n); err != nil || line != EchoLine(n) || n < 0 || n > MaxEcho {
		return 0, fmt.Errorf("%q asks for no echo of up to %d bytes", line, MaxEcho)
	}
	return n, nil
}

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
