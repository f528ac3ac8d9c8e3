package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxChunk is the longest chunk of an echo, and message of a WebSocket.
const maxChunk = 4096

// echo speaks raw TCP: it says how many bytes it will send, is told the
// version, and gets each chunk back before it sends the next. After the last
// byte the server closes. It finishes even when the run ends, without pauses.
func echo(ctx context.Context, t *talk) error {
	sizes, total := make([]int, t.client.Requests), 0
	for i := range sizes {
		sizes[i] = 1 + t.rng.IntN(maxChunk)
		total += sizes[i]
	}
	want, got := make([]byte, maxChunk), make([]byte, maxChunk)
	for i, size := range sizes {
		if i > 0 {
			switch err := t.pause(ctx); {
			case errors.Is(err, errIdleClose):
				return io.EOF // it has more to send back
			case err != nil && !errors.Is(err, errStopped):
				return err
			}
		}
		began := t.begin()
		if i == 0 {
			if err := t.greet(total); err != nil {
				return err
			}
		}
		fill(t.rng, want[:size])
		if err := t.send(want[:size]); err != nil {
			return err
		}
		if _, err := io.ReadFull(t.in, got[:size]); err != nil {
			return err
		}
		if !bytes.Equal(got[:size], want[:size]) {
			return wrong(fmt.Sprintf("the echo differs in the %d bytes of chunk %d", size, i+1))
		}
		t.answered(began, t.version)
	}
	return t.ended()
}

// greet says how many bytes will come, and reads the version.
func (t *talk) greet(total int) error {
	if err := t.send(fmt.Appendf(nil, "echo %d\n", total)); err != nil {
		return err
	}
	line, err := t.in.ReadString('\n')
	if err != nil {
		return err
	}
	if t.version = strings.TrimSuffix(line, "\n"); t.version == "" {
		return wrong("the echo names no version")
	}
	return nil
}
