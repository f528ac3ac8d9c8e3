package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// story tells what happens on the stage while it happens. One goroutine runs
// it, and does all the printing.
type story struct {
	stage   *stage
	screen  *screen
	entries <-chan entry
	record  record

	began   time.Time      // when the operator's last command was typed
	command <-chan outcome // the command that runs, if any
	printed string         // by the last one, and not shown yet
	failed  error          // of the last one
	clients *clients       // nil while there are none
	counter *time.Ticker   // for a line about them now and then
}

// outcome is how a command of the operator's ended.
type outcome struct {
	printed string
	err     error
}

// patience is how long a step may take before the demo gives up. Each takes
// well under a second on an idle machine, but for waits that are shown.
const patience = 45 * time.Second

// countEvery is between two lines of counters.
const countEvery = 2 * time.Second

// types shows a command as typed at the host's prompt, and starts it. until
// tells what comes of it.
func (s *story) types(ctx context.Context, args ...string) {
	s.screen.prompt(s.stage.host.Name(), args)
	s.began = time.Now()
	s.counter.Reset(countEvery)
	done := make(chan outcome, 1)
	s.command = done
	go func() {
		b, err := s.stage.host.Cmd(ctx, args...).CombinedOutput()
		done <- outcome{string(b), err}
	}()
}

// until tells what happens until done returns true.
func (s *story) until(ctx context.Context, what string, done func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, hinted{
		fmt.Errorf("waited %s for %s", human(patience), what),
		"if this machine is very busy, try again; else please report it with all that was printed",
	})
	defer cancel()
	// After what led to it: the journal comes a little later.
	defer func() {
		s.screen.output(s.printed)
		s.printed = ""
	}()
	for !done() {
		select {
		case e, ok := <-s.entries:
			if !ok {
				return errors.Join(context.Cause(ctx), errors.New("the host's journal ended"))
			}
			s.record.note(e)
			if p, ok := narrate(e); ok {
				s.screen.step(s.began, p)
			}
		case o := <-s.command:
			s.command, s.printed, s.failed = nil, o.printed, o.err
		case <-s.counter.C:
			s.count()
		case <-time.After(look):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// look is how often a condition is looked at that tells nobody when it changes.
const look = 20 * time.Millisecond

// pass tells what happens for d, while clients are at work.
func (s *story) pass(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	return s.until(ctx, "the time to pass", func() bool { return time.Now().After(end) })
}

// tells adds a step that is not in the journal.
func (s *story) tells(who string, m mood, format string, args ...any) {
	s.screen.step(s.began, step{At: time.Now(), Who: who, Text: fmt.Sprintf(format, args...), Mood: m})
}

// count tells what the clients have seen so far.
func (s *story) count() {
	if s.clients == nil {
		return
	}
	s.tells("clients", faint, "%s", counted(s.clients.soFar()))
}

// counted says what clients have seen.
func counted(c *load.Counters) string {
	var by []string
	for _, v := range versions {
		if n := c.Versions[v.name]; n > 0 {
			by = append(by, v.name+" "+count(n))
		}
	}
	return fmt.Sprintf("answers: %s; failed: %s", strings.Join(by, ", "), count(c.Failed()))
}

// tell runs the whole story and returns what came of it.
func (s *story) tell(ctx context.Context) (*result, error) {
	begin := time.Now()
	s.counter = time.NewTicker(countEvery)
	defer s.counter.Stop()
	if err := s.show(ctx); err != nil {
		return nil, err
	}
	if err := s.first(ctx); err != nil {
		return nil, err
	}
	var err error
	if s.clients, err = work(ctx, s.stage.outside(), s.stage.inside()); err != nil {
		return nil, err
	}
	stream, err := s.second(ctx)
	if err != nil {
		return nil, err
	}
	for _, chapter := range []func(context.Context) error{s.third, s.fourth} {
		if err := s.pass(ctx, breath); err != nil {
			return nil, err
		}
		if err := chapter(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.pass(ctx, breath); err != nil {
		return nil, err
	}
	return s.conclude(ctx, stream, begin)
}

// conclude sends the clients home and returns what they saw.
func (s *story) conclude(ctx context.Context, st *stream, begin time.Time) (*result, error) {
	network, local, err := s.clients.stop()
	if err != nil {
		return nil, err
	}
	t, err := s.record.times(ctx, s.stage)
	if err != nil {
		return nil, err
	}
	all := &load.Result{}
	for _, r := range []*load.Result{network, local, st.result} {
		all.Merge(r)
	}
	if err := all.Valid(); err != nil {
		return nil, err
	}
	return newResult(all, local, t, time.Since(begin)), nil
}
