package switcheroo

import (
	"bytes"
	"context"
	"log" // what the original's API takes
	"log/slog"
)

// lineHandler writes records to a *log.Logger, each as one line: the message and
// its attributes as key=value. The logger has its own ideas of time.
type lineHandler struct {
	logger *log.Logger
	with   []slog.Attr
}

func (h lineHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (h lineHandler) Handle(ctx context.Context, r slog.Record) error {
	var b bytes.Buffer
	text := slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}})
	if err := text.WithAttrs(h.with).Handle(ctx, r); err != nil {
		return err
	}
	line := "switcheroo: " + r.Message
	if attrs := bytes.TrimSpace(b.Bytes()); len(attrs) > 0 {
		line += " " + string(attrs)
	}
	return h.logger.Output(2, line)
}

func (h lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.with = append(h.with[:len(h.with):len(h.with)], attrs...)
	return h
}

// WithGroup is not used here.
func (h lineHandler) WithGroup(string) slog.Handler { return h }
