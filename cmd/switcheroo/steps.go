package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// steps prints what is done, one line a step. Its methods may be called from
// several goroutines.
type steps struct {
	w      io.Writer
	name   string // of the service
	quiet  bool
	colour bool

	mu         sync.Mutex
	rolledBack bool // the version before has the port again
}

func newSteps(w io.Writer, name string, quiet bool) *steps {
	return &steps{w: w, name: name, quiet: quiet, colour: terminalOf(w).colours()}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// mood is how a step is coloured.
type mood string

const (
	plain mood = ""
	good  mood = "32"
	bad   mood = "33"
)

// say prints a step.
func (s *steps) say(m mood, format string, args ...any) {
	if s.quiet && m != bad {
		return
	}
	who, text := "switcheroo: "+s.name+": ", fmt.Sprintf(format, args...)
	if s.colour {
		who = "\x1b[2m" + who + "\x1b[0m"
		if m != plain {
			text = "\x1b[" + string(m) + "m" + text + "\x1b[0m"
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.w, who+text)
}

// isRolledBack says whether the version before has the port again.
func (s *steps) isRolledBack() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rolledBack
}

// log returns a logger that prints what the library does as steps.
func (s *steps) log() *slog.Logger { return slog.New(stepLog{steps: s}) }

// stepLog tells the library's messages in words for people.
type stepLog struct {
	steps *steps
	attrs []slog.Attr
}

// Enabled leaves out what is for debugging.
func (l stepLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle prints r.
func (l stepLog) Handle(_ context.Context, r slog.Record) error {
	fields := map[string]string{}
	var rest strings.Builder
	cutOff := false
	note := func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && errors.Is(err, context.Canceled) {
			cutOff = true
		}
		value := valueOf(a.Value.Resolve())
		fields[a.Key] = value
		if a.Key != "service" { // its name begins every line
			fmt.Fprintf(&rest, " %s=%s", a.Key, value)
		}
		return true
	}
	for _, a := range l.attrs {
		note(a)
	}
	r.Attrs(note)
	if cutOff {
		return nil // by the end of this process, which sees to it itself
	}
	if r.Message == goneBack || r.Message == backAgain {
		l.steps.mu.Lock()
		l.steps.rolledBack = r.Message == goneBack
		l.steps.mu.Unlock()
	}
	m := plain
	if r.Level >= slog.LevelWarn {
		m = bad
	}
	if t, ok := tellings[r.Message]; ok {
		if text := t.text(fields); text != "" {
			l.steps.say(max(t.mood, m), "%s", text)
		}
		return nil
	}
	text := r.Message
	if rest.Len() > 0 {
		text += ":" + rest.String()
	}
	l.steps.say(m, "%s", text)
	return nil
}

// WithAttrs adds attributes to every record.
func (l stepLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	l.attrs = append(append([]slog.Attr{}, l.attrs...), attrs...)
	return l
}

// WithGroup does nothing: the library has no groups.
func (l stepLog) WithGroup(string) slog.Handler { return l }

func valueOf(v slog.Value) string {
	if v.Kind() == slog.KindDuration {
		return human(v.Duration())
	}
	return v.String()
}

// telling says how to tell a message of the library's; "" leaves it out.
type telling struct {
	mood mood
	text func(map[string]string) string
}

// goneBack is the library's message that the version before has the port again.
const goneBack = "new connections go back to the older process"

// backAgain is the library's message that a process found the current one dead,
// and has led the traffic to the newest that is left: itself or another.
const backAgain = "the newer process died: new connections go back to the older one"

// tellings are the library's messages, in the order in which they come.
var tellings = map[string]telling{
	"new connections come here": {good, func(f map[string]string) string {
		if f["from"] == "" {
			return "ready: new connections come here"
		}
		return "ready: new connections come here, not to process " + f["from"]
	}},
	"a newer process has taken over": {plain, say("process {by} has taken over: this one finishes its connections")},
	"drained":                        {plain, say("process {pid} has no connection left")},
	"drain took too long":            {bad, say("process {pid} still has {connections} connections after the time to drain")},
	"older process told to end":      {plain, say("process {pid} is told to end")},
	"older process has ended":        {plain, say("process {pid} has ended")},
	goneBack:                         {good, say("new connections go to process {pid} again")},
	backAgain: {good, func(f map[string]string) string {
		if f["pid"] == strconv.Itoa(os.Getpid()) {
			return "process " + f["died"] + " is dead: new connections come here again"
		}
		return "process " + f["died"] + " is dead: new connections go to process " + f["pid"] + " again"
	}},
	"new connections are refused": {plain, say("new connections are refused from here on")},
}

// say returns the text with each {field} replaced.
func say(text string) func(map[string]string) string {
	return func(f map[string]string) string {
		said := text
		for name, value := range f {
			said = strings.ReplaceAll(said, "{"+name+"}", value)
		}
		return said
	}
}

// human returns a time as people say it: 30 s, 1.3 s, 14 ms.
func human(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return fmt.Sprintf("%.3g s", d.Seconds())
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
