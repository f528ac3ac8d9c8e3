package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxEvent bounds one line of the stream.
const maxEvent = 1 << 20

// Stream is events as they happen. Its methods are for one goroutine, but for
// Close.
type Stream struct {
	ctx    context.Context
	client *Client
	body   io.ReadCloser
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

func newStream(ctx context.Context, c *Client, body io.ReadCloser, cancel context.CancelFunc) *Stream {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxEvent)
	return &Stream{ctx: ctx, client: c, body: body, lines: lines, cancel: cancel}
}

// Next waits for the next event. The error is io.EOF when the daemon ends the
// stream, as it does when it is restarted, or when this reader was too slow:
// ask again, since the last event's id.
func (s *Stream) Next() (Event, error) {
	for s.lines.Scan() {
		line := s.lines.Bytes()
		if len(line) == 0 {
			continue // a sign of life
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return Event{}, fmt.Errorf("read event: %w", err)
		}
		return e, nil
	}
	switch err := s.lines.Err(); {
	case s.ctx.Err() != nil:
		return Event{}, s.ctx.Err()
	case err == nil, errors.Is(err, io.ErrUnexpectedEOF):
		return Event{}, io.EOF
	default:
		return Event{}, s.client.explain(s.ctx, err)
	}
}

// Close ends the stream; a Next that waits returns context.Canceled.
func (s *Stream) Close() {
	s.cancel()
	s.body.Close()
}
