package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
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

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	var line bytes.Buffer
	if h.journal {
		line.WriteString(priority(r.Level))
	} else {
		line.WriteString(r.Time.Format("15:04:05.000 "))
	}
	line.WriteString(r.Message)
	// The attributes are left to slog's own quoting.
	var attrs bytes.Buffer
	text := slog.NewTextHandler(&attrs, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: attributesOnly})
	rest := slog.Record{Level: r.Level}
	rest.AddAttrs(h.attrs...)
	r.Attrs(func(a slog.Attr) bool { rest.AddAttrs(h.qualify(a)); return true })
	if err := text.Handle(ctx, rest); err != nil {
		return err
	}
	if s := bytes.TrimSpace(attrs.Bytes()); len(s) > 0 {
		line.WriteString(": ")
		line.Write(s)
	}
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

// attributesOnly drops what the line begins with already.
func attributesOnly(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey && a.Value.String() == "") {
		return slog.Attr{}
	}
	return a
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
