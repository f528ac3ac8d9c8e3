package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// newLog returns a logger that writes "message key=value ..." lines to w. Under
// journald each line begins with its priority (sd-daemon(3)) and carries no
// time, which the journal adds itself.
func newLog(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(&handler{
		mu:      &sync.Mutex{},
		out:     w,
		level:   level,
		journal: os.Getenv("JOURNAL_STREAM") != "",
	})
}

// handler renders a record as its message followed by its attributes.
type handler struct {
	mu      *sync.Mutex // guards out
	out     io.Writer
	level   slog.Leveler
	journal bool
	attrs   []slog.Attr
	group   string
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var line bytes.Buffer
	if h.journal {
		line.WriteString(priority(r.Level))
	} else {
		line.WriteString(r.Time.Format("15:04:05.000 "))
	}
	line.WriteString(r.Message)
	sep := ": "
	write := func(a slog.Attr) bool {
		line.WriteString(sep + a.Key + "=" + quote(a.Value.Resolve().String()))
		sep = " "
		return true
	}
	for _, a := range h.attrs {
		write(a)
	}
	r.Attrs(func(a slog.Attr) bool { return write(h.qualify(a)) })
	line.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.out.Write(line.Bytes())
	return err
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = append([]slog.Attr{}, h.attrs...)
	for _, a := range attrs {
		next.attrs = append(next.attrs, h.qualify(a))
	}
	return &next
}

func (h *handler) WithGroup(name string) slog.Handler {
	next := *h
	next.group += name + "."
	return &next
}

func (h *handler) qualify(a slog.Attr) slog.Attr {
	a.Key = h.group + a.Key
	return a
}

// quote returns s so that it is one word of a line. Back quotes keep the quotes
// that messages have readable.
func quote(s string) string {
	switch {
	case s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == '`' || r == '=' || !unicode.IsPrint(r) }):
		return s
	case strings.Contains(s, `"`) && strconv.CanBackquote(s):
		return "`" + s + "`"
	}
	return strconv.Quote(s)
}

func priority(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "<3>"
	case l >= slog.LevelWarn:
		return "<4>"
	case l >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}
