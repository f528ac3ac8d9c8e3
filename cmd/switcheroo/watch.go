package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

const (
	// redraw is how often times and counts are shown anew.
	redraw = time.Second
	// maxKnown bounds the events that are kept for showing.
	maxKnown = 1024
)

// watching shows what draw returns, in place, whenever something happens and
// once a second, until ctx ends. draw gets the events that have happened. A
// daemon that is restarted is waited for.
func (s *session) watching(ctx context.Context, draw func(ctx context.Context, known []api.Event) ([]line, error)) error {
	if s.term.file == nil {
		return usageError{hinted{errors.New("--watch needs a terminal"), `"switcheroo events -f" follows what happens anywhere`}}
	}
	known, err := s.known(ctx, everything)
	if err != nil {
		return err
	}
	var last uint64 = everything
	if len(known) > 0 {
		last = known[len(known)-1].ID
	}
	ctx, cancel := context.WithCancel(ctx)
	news := make(chan api.Event)
	done := make(chan struct{})
	go func() {
		defer close(done)
		follow(ctx, s.client, last, func(e *api.Event) bool {
			select {
			case news <- *e:
				return true
			case <-ctx.Done():
				return false
			}
		}, func(error) error { return nil }) // drawing says it
	}()
	defer func() { cancel(); <-done }()

	io.WriteString(s.stdout, "\x1b[?25l\x1b[2J")        // no cursor, an empty screen
	defer io.WriteString(s.stdout, "\r\x1b[K\x1b[?25h") // no ^C, and the cursor again
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	var shown []line
	for {
		lines, err := draw(ctx, known)
		switch {
		case ctx.Err() != nil:
			return nil // that is how it is ended
		case err == nil:
			shown = lines
		case away(err):
			lines = append([]line{{{explain(err).Error() + "; this is what was known", broken}}}, shown...)
		default:
			return err
		}
		s.paint(lines)
		select {
		case e := <-news:
			known = append(known, e)
			known = append(known, drained(news)...)
			known = known[max(len(known)-maxKnown, 0):]
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// away says whether err is that the daemon does not answer, or not yet.
func away(err error) bool {
	var e *api.Error
	return errors.As(err, new(*api.UnreachableError)) || errors.As(err, &e) && (e.Code == api.Unavailable || e.Code == api.TooMany)
}

// drained returns what is in a channel already.
func drained(news <-chan api.Event) (all []api.Event) {
	for {
		select {
		case e := <-news:
			all = append(all, e)
		default:
			return all
		}
	}
}

// paint puts lines in the place of what the terminal shows.
func (s *session) paint(lines []line) {
	if now := terminalOf(s.stdout); now.file != nil {
		s.term = now // it may have another size
	}
	if most := s.term.rows - 1; len(lines) > most {
		more := len(lines) - most + 1
		lines = append(append([]line{}, lines[:max(most-1, 0)]...), line{{fmt.Sprintf("%d more lines do not fit", more), faint}})
	}
	var b strings.Builder
	b.WriteString("\x1b[H")
	for _, l := range lines {
		b.WriteString(s.style.render(l, s.term.columns) + "\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	io.WriteString(s.stdout, b.String())
}
