package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/history"
)

// progress tells on a terminal what becomes of a unit while a call waits for
// it: a line an event, and a last line that is drawn anew every second.
type progress struct {
	*session
	unit    string
	service string // once it is known
	term    terminal
	style   style
	live    bool // the last line on the terminal is to be replaced

	cancel context.CancelFunc
	upTo   chan uint64 // the last event that is to be told
	done   chan struct{}
}

// progressOn begins to tell what happens after the event since. Where stderr
// is no terminal nothing is told. End it.
func (s *session) progressOn(ctx context.Context, unit, service string, since uint64) *progress {
	ctx, cancel := context.WithCancel(ctx)
	p := &progress{session: s, unit: unit, service: service, term: terminalOf(s.stderr),
		cancel: cancel, upTo: make(chan uint64, 1), done: make(chan struct{})}
	p.style.colour = p.term.colours()
	if p.term.file == nil || s.quiet || s.json.on() {
		close(p.done)
		return p
	}
	go func() {
		defer close(p.done)
		p.run(ctx, since)
	}()
	return p
}

// end tells what has happened until now, and no more.
func (p *progress) end(ctx context.Context) {
	defer p.cancel()
	select {
	case <-p.done:
		return
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	if h, err := p.client.Health(ctx); err == nil {
		p.upTo <- h.Event
	} else {
		p.cancel()
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.cancel()
		<-p.done
	}
}

// lastWords is how long what has happened may take to be told.
const lastWords = 2 * time.Second

func (p *progress) run(ctx context.Context, since uint64) {
	ctx, cancel := context.WithCancel(ctx)
	news := make(chan api.Event)
	over := make(chan struct{})
	go func() {
		defer close(over)
		follow(ctx, p.client, since, func(e *api.Event) bool {
			select {
			case news <- *e:
				return true
			case <-ctx.Done():
				return false
			}
		}, func(error) error { return nil })
	}()
	defer func() { cancel(); <-over }()
	defer p.clear()
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	var last uint64
	for last == 0 || since < last {
		select {
		case e := <-news:
			since = e.ID
			p.tell(&e)
		case last = <-p.upTo:
		case <-tick.C:
			if last == 0 {
				p.draw(ctx)
			}
		case <-ctx.Done():
			return
		}
	}
}

// tell prints an event that has to do with the unit.
func (p *progress) tell(e *api.Event) {
	if e.Unit == p.unit && e.Service != "" {
		p.service = e.Service
	}
	if e.Unit != p.unit && (e.Service != p.service || p.service == "") || e.Kind == api.Switching {
		return
	}
	p.clear()
	for _, l := range eventLine(e, time.Now(), false, p.term.columns) {
		fmt.Fprintln(p.stderr, p.style.render(l, 0))
	}
}

// draw replaces the last line by how things stand.
func (p *progress) draw(ctx context.Context) {
	all, err := p.client.Services(ctx, api.Select{Connections: true})
	if err != nil {
		if away(err) {
			p.replace(explain(err).Error() + "; waiting for it")
		}
		return
	}
	now := time.Now()
	for i := range all {
		for j := range all[i].Instances {
			in := &all[i].Instances[j]
			what := progressOf(in, now)
			if in.Unit == p.unit && in.State == api.Starting {
				p.replace(fmt.Sprintf("%s is starting, since %s", short(in.Unit), ago(in.Since, now)))
				return
			}
			if all[i].Name == p.service && what != "" {
				if in.Connections != nil {
					what += ", " + count(*in.Connections, "connection")
				}
				p.replace(versionOf(in) + " " + what)
				return
			}
		}
	}
}

func (p *progress) replace(s string) {
	io.WriteString(p.stderr, "\r"+p.style.render(line{{"  " + s, faint}}, p.term.columns-1)+"\x1b[K")
	p.live = true
}

func (p *progress) clear() {
	if p.live {
		io.WriteString(p.stderr, "\r\x1b[K")
		p.live = false
	}
}

// lastLines prints the last lines that a unit has written to the journal since
// a moment: mostly they say why it failed.
func (s *session) lastLines(ctx context.Context, unit string, since time.Time) {
	if s.quiet || s.json.on() {
		return
	}
	// Its own, and what systemd says of it; the daemon's are told otherwise.
	out, err := history.Journalctl(ctx, "--output=short", "--no-hostname", "--lines=10",
		fmt.Sprintf("--since=@%d.%06d", since.Unix(), since.Nanosecond()/1000), "_SYSTEMD_UNIT="+unit, "+", "_PID=1", "UNIT="+unit)
	if err != nil || len(out) == 0 {
		return
	}
	style := style{colour: terminalOf(s.stderr).colours()}
	fmt.Fprintln(s.stderr, style.render(line{{"The last lines of " + short(unit) + ":", strong}}, 0))
	for l := range strings.Lines(string(out)) {
		fmt.Fprint(s.stderr, "  "+l)
	}
}
