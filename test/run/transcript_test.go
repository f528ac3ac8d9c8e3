package run

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
)

// transcript is output that grows, and in which lines are waited for.
type transcript struct {
	mu     sync.Mutex
	text   bytes.Buffer
	more   chan struct{} // closed, and made anew, when there is more
	closed bool
}

func newTranscript() *transcript { return &transcript{more: make(chan struct{})} }

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(b)
	close(t.more)
	t.more = make(chan struct{})
	return len(b), nil
}

// close says that no more will come.
func (t *transcript) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	close(t.more)
	t.more = make(chan struct{})
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// wait waits for a whole line with all of words.
func (t *transcript) wait(ctx context.Context, words []string) error {
	return t.until(ctx, func(line string) bool {
		for _, w := range words {
			if !strings.Contains(line, w) {
				return false
			}
		}
		return true
	}, 1)
}

// waitCount waits for n lines that are this one.
func (t *transcript) waitCount(ctx context.Context, want string, n int) error {
	return t.until(ctx, func(line string) bool { return strings.TrimSpace(line) == want }, n)
}

var errEnded = errors.New("it ended")

func (t *transcript) until(ctx context.Context, is func(line string) bool, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		t.mu.Lock()
		text, more, closed := t.text.String(), t.more, t.closed
		t.mu.Unlock()
		found := 0
		for line := range strings.Lines(text) {
			if strings.HasSuffix(line, "\n") && is(line) {
				found++
			}
		}
		switch {
		case found >= n:
			return nil
		case closed:
			return errEnded
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
