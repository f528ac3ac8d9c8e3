package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/api"
)

// session is one run of a verb that asks the daemon.
type session struct {
	options
	client *api.Client
	stdout io.Writer
	stderr io.Writer
	page   bytes.Buffer // what is to be printed on stdout at the end
	term   terminal     // stdout's
	style  style        // of stdout
}

// verb returns what cobra runs for a verb.
func (o *options) verb(do func(ctx context.Context, s *session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := o.check(); err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGINT, unix.SIGTERM)
		defer stop()
		s := newSession(*o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		defer s.client.Close()
		err := do(ctx, s, args)
		if err == nil || errors.As(err, new(ended)) {
			if printed := s.show(ctx); printed != nil {
				return printed
			}
		}
		return s.end(ctx, err)
	}
}

func newSession(o options, stdout, stderr io.Writer) *session {
	term := terminalOf(stdout)
	return &session{options: o, client: api.NewClient(api.Socket), stdout: stdout, stderr: stderr,
		term: term, style: style{colour: term.colours()}}
}

// end returns what an error is to the caller. With --json it is printed as a
// value, too.
func (s *session) end(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return ended(exitSignal + int(unix.SIGINT))
	}
	if known := failureOf(err); known != nil && s.json.on() {
		s.encode(s.stdout, api.Failure{Error: known})
	}
	return explain(err)
}

// failureOf returns an error as the daemon would have said it; nil if it would not.
func failureOf(err error) *api.Error {
	var known *api.Error
	if errors.As(err, &known) {
		return known
	}
	var fail failure
	if !errors.As(err, &fail) || fail.status != exitNoService {
		return nil
	}
	known = api.Errorf(api.NoService, "%s", err)
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		known.HintText = h.Hint()
	}
	return known
}

// value prints v as JSON.
func (s *session) value(v any) error { return s.encode(&s.page, v) }

func (s *session) encode(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	if s.json == "pretty" {
		out.SetIndent("", "  ")
	}
	return out.Encode(v)
}

// lines prints lines for people.
func (s *session) lines(all ...line) {
	for _, l := range all {
		s.page.WriteString(s.style.render(l, s.term.columns) + "\n")
	}
}

// fold is where sentences below a row of a table are folded.
func (s *session) fold() int {
	if s.term.columns > 0 {
		return s.term.columns
	}
	return 80
}

// terminal is what is known of one; the zero value is none.
type terminal struct {
	file          *os.File
	columns, rows int
}

// terminalOf returns the terminal that w is, if it is one.
func terminalOf(w io.Writer) terminal {
	f, ok := w.(*os.File)
	if !ok || !isTerminal(f) {
		return terminal{}
	}
	t := terminal{file: f, columns: 80, rows: 24}
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 && size.Row > 0 {
		t.columns, t.rows = int(size.Col), int(size.Row)
	}
	return t
}

// colours says whether colours are wanted there.
func (t terminal) colours() bool {
	return t.file != nil && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
