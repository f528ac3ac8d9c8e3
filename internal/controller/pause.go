package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// MaxPause is the longest that a service can be paused for. Clients have given
// up by then: most wait for 30 s to two minutes.
const MaxPause = 10 * time.Minute

// releaseTime is how long a server may take to accept those that had to wait.
// Then they are let go all at once.
const releaseTime = 30 * time.Second

// Errors of pauses.
var (
	ErrNotPaused   = errors.New("it is not paused")
	ErrNeverServed = errors.New("no instance has had its traffic yet, so there is nothing to hold")
	ErrNoGate      = errors.New("connections cannot be held here")
)

// RulesError says that the rules could not be changed, and are what they were.
type RulesError struct{ Err error }

func (e RulesError) Error() string { return e.Err.Error() }
func (e RulesError) Unwrap() error { return e.Err }

// pauseTimeout bounds the lock and the rules of a pause together. It ends with the
// call as well: a pause that was reported to have failed must not begin later.
const pauseTimeout = 8 * time.Second

// Pause says that new connections of a service wait. It is not saved: the
// kernel's rules say until when.
type Pause struct {
	Until time.Duration
	// Ending: it was told to end.
	Ending bool
}

// LetGo says what became of connections that had to wait.
type LetGo struct {
	Connections int
	Longest     time.Duration // that one of them waited
	Took        time.Duration // to let them go
	Left        int           // let go without regard to the server
}

// Pause has new connections of a service wait for at most that long, counted
// from now, also if it is paused already. It returns once the rules are in
// force.
func (c *Controller) Pause(ctx context.Context, service string, most time.Duration) error {
	_, err := answer(ctx, c, func(context.Context) (struct{}, bool, error) {
		return struct{}{}, true, c.pause(ctx, service, most)
	})
	return err
}

func (c *Controller) pause(ctx context.Context, service string, most time.Duration) error {
	svc, err := c.pausable(service)
	if err != nil {
		return err
	}
	if svc.Current == nil {
		return ErrNeverServed
	}
	next := c.world.State.clone()
	next.service(service).Pause = &Pause{Until: c.Now() + most}
	if next.hold(service) == nil {
		return errors.New("another service has got its endpoints")
	}
	limited, cancel := context.WithTimeout(ctx, pauseTimeout)
	defer cancel()
	unlock, err := c.Router.Lock(limited)
	if err != nil {
		return RulesError{err}
	}
	_, err = c.Router.Apply(limited, next.rules())
	unlock()
	if err != nil {
		c.dirty = true // one half may hold what was asked for, and the other not
		return RulesError{err}
	}
	extended := svc.Pause != nil
	c.world.State = next
	c.cancel(releaseTask, service)
	n := News{Kind: Paused, Service: service, Unit: c.currentUnit(service), Took: most, Reason: "for " + most.String() + " at most"}
	message := "paused: new connections wait"
	if extended {
		message = "pause extended"
	}
	c.announce(slog.LevelInfo, message, n, "service", service, "most", most)
	return nil
}

// pausable returns the service of that name.
func (c *Controller) pausable(service string) (*Service, error) {
	svc := c.world.State.Services[service]
	switch {
	case !c.synced:
		return nil, ErrStarting
	case svc == nil && c.world.Members[service] == nil:
		return nil, ErrNoService
	case c.Gate == nil:
		return nil, ErrNoGate
	case svc == nil:
		return &Service{}, nil
	}
	return svc, nil
}

// Resume ends the pause of a service: what waits goes on, as fast as the server
// accepts it. While nothing serves it goes on waiting, for as long as it was
// paused for. Resume does not wait for that.
func (c *Controller) Resume(ctx context.Context, service string) error {
	unit, err := answer(ctx, c, func(context.Context) (unit string, changed bool, err error) {
		svc, err := c.pausable(service)
		if err == nil && svc.Current != nil {
			unit = svc.Current.Unit
		}
		return unit, false, err
	})
	if err != nil {
		return err
	}
	end := func() (struct{}, bool, error) {
		svc, err := c.pausable(service)
		switch {
		case err != nil:
			return struct{}{}, false, err
		case svc.Pause == nil:
			return struct{}{}, false, ErrNotPaused
		}
		svc.Pause.Ending = true
		return struct{}{}, true, nil
	}
	// It may have just been restarted, which is what a pause is for: nobody is
	// to be led to what it was before.
	_, err = fresh(ctx, c, unit, func(Unit) (struct{}, bool, error) { return end() })
	if err != nil && !errors.Is(err, ErrNotPaused) && ctx.Err() == nil { // systemd is away
		_, err = answer(ctx, c, func(context.Context) (struct{}, bool, error) { return end() })
	}
	return err
}

// pause ends a pause whose time is over, or that was told to end and has a
// server again.
func (p *planner) pause() {
	switch pause := p.svc.Pause; {
	case pause == nil:
	case p.Now >= pause.Until:
		p.start(task{releaseTask, p.name}, release{Service: p.name, Why: "its time is over"})
	case pause.Ending && p.alive && !p.moving:
		p.start(task{releaseTask, p.name}, release{Service: p.name, Why: "it was asked for"})
	default:
		p.do(wake{At: pause.Until})
	}
}

// release lets go what waits. The rules follow: until they do, what comes goes
// the same way.
func (c *Controller) release(ctx context.Context, a release) result {
	limited, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	done, err := c.Gate.Release(limited, a.Service)
	if ctx.Err() != nil {
		return nil
	}
	return func(context.Context) {
		svc := c.world.State.Services[a.Service]
		if svc == nil || svc.Pause == nil {
			return
		}
		svc.Pause = nil
		c.dirty = true
		n := News{Kind: Resumed, Service: a.Service, Unit: c.currentUnit(a.Service), Reason: a.Why, Took: done.Took, Waited: done}
		args := []any{"service", a.Service, "reason", a.Why, "waited", done.Connections,
			"longest", done.Longest.Round(time.Millisecond), "took", done.Took.Round(time.Millisecond)}
		switch {
		case errors.Is(err, context.DeadlineExceeded) && done.Left > 0:
			n.Reason = fmt.Sprintf("%s; the server did not accept all in %s: %d were let go at once", a.Why, releaseTime, done.Left)
			c.announce(slog.LevelWarn, "resumed, but the server does not accept what had to wait", n, append(args, "left", done.Left)...)
		case err != nil:
			n.Reason = fmt.Sprintf("%s; not released in order: %v", a.Why, err)
			c.announce(slog.LevelWarn, "resumed, not in order", n, append(args, "error", err)...)
		default:
			c.announce(slog.LevelInfo, "resumed", n, args...)
		}
	}
}

// adoptPauses takes over the pauses that the rules hold.
func (c *Controller) adoptPauses(held []nat.Held) {
	names := c.names()
	for _, h := range held {
		svc := c.world.State.Services[names[h.Key]]
		if svc == nil || svc.Current == nil {
			c.Log.Warn("pause of a service that nothing has the traffic of is ended", "service", names[h.Key])
			continue
		}
		svc.Pause = &Pause{Until: min(h.Until, c.Now()+MaxPause)}
		c.Log.Info("paused, as found in the rules", "service", names[h.Key], "left", (svc.Pause.Until - c.Now()).Round(time.Millisecond))
	}
}

// hold returns what holds the connections of a paused service, nil if it is not
// paused, or has been given up to another one.
func (s *State) hold(service string) *nat.Hold {
	svc := s.Services[service]
	if svc.Pause == nil || svc.Current == nil {
		return nil
	}
	r := svc.Current.redirect()
	if svc.Down {
		for name, other := range s.Services {
			if cur := other.serving(); name != service && cur != nil && valid(r, cur.redirect()) != nil {
				return nil
			}
		}
	}
	return &nat.Hold{Service: service, Until: svc.Pause.Until, Scope: r.Scope, Targets: r.Targets}
}
