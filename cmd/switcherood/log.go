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

	"github.com/switcheroo/switcheroo/internal/controller"
)

// newLog returns a logger that writes "message key=value ..." lines to w. Under
// journald each line begins with its priority (sd-daemon(3)) and carries no
// time, which the journal adds itself; if j is not nil, the lines go there, with
// fields, and to w only when that fails.
func newLog(w io.Writer, level slog.Leveler, j *journal) *slog.Logger {
	return slog.New(&handler{
		mu:      &sync.Mutex{},
		out:     w,
		level:   level,
		journal: os.Getenv("JOURNAL_STREAM") != "",
		native:  j,
	})
}

// handler renders a record as its message followed by its attributes.
type handler struct {
	mu      *sync.Mutex // guards out
	out     io.Writer
	level   slog.Leveler
	journal bool
	native  *journal
	attrs   []slog.Attr
	group   string
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	var line bytes.Buffer
	line.WriteString(r.Message)
	values := map[string]string{}
	sep := ": "
	write := func(a slog.Attr) bool {
		value := a.Value.Resolve().String()
		values[a.Key] = value
		line.WriteString(sep + a.Key + "=" + quote(value))
		sep = " "
		return true
	}
	for _, a := range h.attrs {
		write(a)
	}
	r.Attrs(func(a slog.Attr) bool { return write(h.qualify(a)) })
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.native != nil && h.native.send(r.Level, line.String(), fieldsOf(controller.NewsOf(ctx), values)) == nil {
		return nil
	}
	begin := r.Time.Format("15:04:05.000 ")
	if h.journal {
		begin = priority(r.Level)
	}
	_, err := io.WriteString(h.out, begin+line.String()+"\n")
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
