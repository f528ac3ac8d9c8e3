package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo"
)

// phase is how far a server has come.
type phase int

const (
	starting phase = iota // not ready yet
	serving               // new connections come
	draining              // it was asked to end, and its connections are waited for
	stopping              // the command was asked to end
)

// server is one command that is served. One goroutine runs it.
type server struct {
	o        runOptions
	name     string // of the command, for messages
	steps    *steps
	handover *switcheroo.Handover
	child    *child
	notify   *notifySocket

	phase    phase
	ready    chan error         // how becoming ready went
	giveUp   context.CancelFunc // on becoming ready
	drained  chan struct{}      // closed when draining is over
	hurry    context.CancelFunc // with draining
	kill     <-chan time.Time   // when the command is killed
	asked    syscall.Signal     // to end, by this signal
	switched bool               // new connections have come here
	rejected bool               // and gone back, before it was asked to end
	failed   error              // why it ends, if not by being asked to
}

// passed are the signals that the command gets as they come.
var passed = []os.Signal{unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGQUIT, unix.SIGALRM}

// serve runs args until it ends, and returns its exit status as an error.
func serve(ctx context.Context, o runOptions, args []string, steps *steps) error {
	if _, err := exec.LookPath(args[0]); err != nil {
		return lookup(args[0], err) // before anything is touched
	}
	signals := make(chan os.Signal, 64)
	for _, sig := range append([]os.Signal{unix.SIGTERM, unix.SIGINT}, passed...) {
		if !signal.Ignored(sig) { // as nohup wants it
			signal.Notify(signals, sig)
		}
	}
	defer signal.Stop(signals)
	// Whoever reads what we print may go away: that ends nothing.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)

	// It ends with this function, and not with a signal.
	ctx, end := context.WithCancel(ctx)
	defer end()
	h, err := listen(ctx, o, steps, signals)
	if err != nil {
		return err
	}
	for _, endpoint := range o.listen {
		if hasListener(endpoint) {
			steps.say(bad, "another program listens on %s itself: once this one is ready, it gets no new connections", endpoint)
		}
	}
	s := &server{o: o, name: args[0], steps: steps, handover: h}
	defer func() {
		if err := h.Close(); err != nil {
			steps.say(bad, "not closed: %v", err)
		}
	}()
	if s.notify, err = newNotifySocket(); err != nil {
		return err
	}
	defer s.notify.close()
	if err := s.start(args); err != nil {
		return err
	}
	return s.run(ctx, signals)
}

// listen takes a private port. A signal to end ends it.
func listen(ctx context.Context, o runOptions, steps *steps, signals <-chan os.Signal) (*switcheroo.Handover, error) {
	type result struct {
		h   *switcheroo.Handover
		err error
	}
	// It is the Handover's as well: only a signal ends it here.
	waiting, giveUp := context.WithCancel(ctx)
	context.AfterFunc(ctx, giveUp)
	done := make(chan result, 1)
	go func() {
		h, err := switcheroo.Listen(waiting, o.library(steps))
		done <- result{h, err}
	}()
	for {
		select {
		case r := <-done:
			return r.h, r.err
		case got := <-signals:
			if !ends(got) {
				continue // there is nobody yet to pass it on to
			}
			giveUp()
			if r := <-done; r.err == nil {
				r.h.Close()
			}
			return nil, ended(exitSignal + int(got.(syscall.Signal)))
		}
	}
}

func ends(s os.Signal) bool { return s == unix.SIGTERM || s == unix.SIGINT }

// start starts the command.
func (s *server) start(args []string) error {
	c := command{args: args, port: s.handover.Port(), notify: s.notify.address}
	if !s.o.portOnly {
		l, ok := s.handover.Listener().(interface{ File() (*os.File, error) })
		if !ok {
			return fmt.Errorf("no file of a listener %T", s.handover.Listener())
		}
		f, err := l.File()
		if err != nil {
			return fmt.Errorf("pass the listener on: %w", err)
		}
		defer f.Close()
		c.listener = f
	}
	var err error
	if s.child, err = c.start(); err != nil {
		return err
	}
	s.steps.say(plain, "process %d has started %s with private port %d", os.Getpid(), s.name, c.port)
	return nil
}

// run sees the command through to its end.
func (s *server) run(ctx context.Context, signals <-chan os.Signal) error {
	var waiting context.Context
	waiting, s.giveUp = context.WithCancel(ctx)
	defer s.giveUp()
	s.ready = make(chan error, 1)
	go func() { s.ready <- s.becomeReady(waiting) }()
	ready, superseded := s.ready, s.handover.Done()
	for {
		select {
		case <-s.child.done:
			if ready != nil {
				s.giveUp()
				s.switched = <-ready == nil
			}
			return s.over()
		case err := <-ready:
			ready = nil
			s.readied(ctx, err)
		case got := <-signals:
			s.signalled(ctx, got.(syscall.Signal))
		case <-s.drained:
			s.drained = nil
			s.stop()
		case <-superseded:
			superseded = nil
			if s.phase == draining {
				s.hurry()
			}
			if s.phase == serving || s.phase == draining {
				s.stop()
			}
		case <-s.kill:
			s.kill = nil
			s.steps.say(bad, "%s is still there %s after %s: killed", s.name, s.o.killAfter, unix.SignalName(s.endSignal()))
			s.child.signalAll(unix.SIGKILL)
		}
	}
}

// becomeReady returns once new connections come here.
func (s *server) becomeReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.readyTimeout.duration(), fmt.Errorf("--ready-timeout %s is over", s.o.readyTimeout))
	defer cancel()
	said := make(chan struct{}, 1)
	go s.notify.listen(s.child.pid, func() {
		select {
		case said <- struct{}{}:
		default:
		}
	})
	if s.o.notify || s.o.probe == "none" {
		select {
		case <-said:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return errNotInTime
			}
			return context.Cause(ctx)
		}
	}
	return s.handover.Ready(ctx)
}

var errNotInTime = errors.New("no READY=1")

// readied goes on when becoming ready is over.
func (s *server) readied(ctx context.Context, err error) {
	s.switched = err == nil
	switch {
	case s.phase != starting: // asked to end twice meanwhile
	case s.asked != 0 && err == nil: // a moment too late to give up
		s.phase = draining
		s.leave(ctx)
	case s.asked != 0:
		s.stop()
	case err == nil:
		s.phase = serving
	default:
		s.failed = s.notReady(err)
		s.stop()
	}
}

// signalled does what a signal asks for.
func (s *server) signalled(ctx context.Context, got syscall.Signal) {
	if !ends(got) {
		s.child.signal(got)
		return
	}
	switch s.phase {
	case starting:
		if s.asked != 0 {
			s.stop()
			return
		}
		s.steps.say(plain, "%s before it is ready", unix.SignalName(got))
		s.asked = got
		s.giveUp()
	case serving:
		s.asked, s.phase, s.rejected = got, draining, s.steps.isRolledBack()
		s.leave(ctx)
	case draining:
		s.steps.say(bad, "%s again: not waiting for connections", unix.SignalName(got))
		s.hurry()
	case stopping:
		s.steps.say(bad, "%s again: %s is killed", unix.SignalName(got), s.name)
		s.child.signalAll(unix.SIGKILL)
	}
}

// leave leads new connections elsewhere and waits for those that are here.
func (s *server) leave(ctx context.Context) {
	if s.superseded() { // the next version has seen to that
		s.stop()
		return
	}
	ctx, s.hurry = context.WithTimeout(ctx, s.o.drain.duration())
	done := make(chan struct{})
	s.drained = done
	go func() {
		defer close(done)
		s.withdraw()
		waits := time.AfterFunc(worthALine, func() {
			s.steps.say(plain, "%s: waiting up to %s for open connections", unix.SignalName(s.asked), s.o.drain)
		})
		err := s.handover.Drain(ctx)
		waits.Stop()
		switch {
		case err == nil:
		case ctx.Err() == nil:
			s.steps.say(bad, "connections not waited for: %v", err)
		case errors.Is(err, context.DeadlineExceeded):
			s.steps.say(bad, "connections are left after %s", s.o.drain)
		}
	}()
}

// superseded says whether a newer version has taken over, and told this one to
// end.
func (s *server) superseded() bool {
	select {
	case <-s.handover.Done():
		return true
	default:
		return false
	}
}

// worthALine is how long a wait is that the user is told of.
const worthALine = 300 * time.Millisecond

// withdrawTimeout is for the lock over the rules and the commands that change
// them.
const withdrawTimeout = 30 * time.Second

func (s *server) withdraw() {
	ctx, cancel := context.WithTimeout(context.Background(), withdrawTimeout)
	defer cancel()
	if err := s.handover.Withdraw(ctx); err != nil {
		s.steps.say(bad, "rules not changed: %v", err)
	}
}

// stop asks the command to end.
func (s *server) stop() {
	s.phase = stopping
	s.child.signalAll(s.endSignal())
	s.kill = time.After(s.o.killAfter.duration())
}

// endSignal is what the command is asked to end with: the signal that we got.
func (s *server) endSignal() syscall.Signal {
	if s.asked != 0 {
		return s.asked
	}
	return unix.SIGTERM
}

// over says how the command has ended, and returns it.
func (s *server) over() error {
	if s.switched {
		s.withdraw()
	}
	status, how := s.child.exit()
	if s.failed != nil {
		return s.failed
	}
	if status == exitSignal+int(s.endSignal()) && s.superseded() {
		// As it should be: no supervisor is to take it for a failure, and start
		// this version again.
		status = exitOK
	}
	what := fmt.Errorf("%s %s", s.name, how)
	switch s.phase {
	case starting:
		if s.asked != 0 {
			break
		}
		hint := "what it has printed should say why"
		if status == 0 {
			status, hint = exitEndedEarly, "it has to stay in the foreground"
		}
		return failure{hinted{fmt.Errorf("%w before it was ready", what), hint}, status}
	case serving, stopping:
		// Asked by a signal it gives the port back, too: that is no failure.
		if s.rejected || s.asked == 0 && s.steps.isRolledBack() {
			if status == 0 {
				status = exitRolledBack
			}
			return failure{what, status}
		}
	}
	if s.phase == serving {
		s.steps.say(bad, "%v, unasked", what)
	} else {
		s.steps.say(plain, "%v", what)
	}
	if status == 0 {
		return nil
	}
	return ended(status)
}

// notReady says why there was no switch.
func (s *server) notReady(err error) error {
	switch {
	case errors.Is(err, errNotInTime):
		err = fmt.Errorf("%w within %s", err, s.o.readyTimeout)
		if said := s.notify.said(); said != "" {
			err = fmt.Errorf("%w; its status is %q", err, said)
		}
	case errors.Is(err, switcheroo.ErrNotReady):
		err = own(err)
	default: // it is ready, and something else is in the way
		return err
	}
	return failure{hinted{fmt.Errorf("%s: %w", s.name, err), s.hint(err)}, exitNotReady}
}

// hint says what may be wrong with a command that does not get ready.
func (s *server) hint(err error) string {
	switch {
	case errors.Is(err, errNotInTime):
		return "does it send that to $NOTIFY_SOCKET? without --notify, accepting a connection is enough"
	case s.o.portOnly:
		return fmt.Sprintf("it has to listen on the port that it gets as {port} or $PORT, here %d", s.handover.Port())
	}
	return "it has to accept connections on file descriptor 3; if it opens its port by itself, use --port-only and {port} or $PORT"
}
