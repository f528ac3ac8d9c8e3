package controller

import (
	"context"
	"log/slog"
	"time"
)

// Kind says what a News is about.
type Kind string

// The kinds of news. Their names go out by the control socket and the journal:
// see docs/api.md.
const (
	Probing       Kind = "probing"
	NotReady      Kind = "not-ready"
	Refused       Kind = "refused"
	Superseded    Kind = "superseded"
	Switching     Kind = "switching"
	Switched      Kind = "switched"
	SwitchedBack  Kind = "switched-back"
	Withdrawn     Kind = "withdrawn"
	Released      Kind = "released"
	Quiesced      Kind = "quiesced"
	Enabled       Kind = "enabled"
	DrainBegan    Kind = "draining"
	Drained       Kind = "drained"
	DrainExpired  Kind = "drain-expired"
	StopBegan     Kind = "stopping"
	Stopped       Kind = "stopped"
	Ended         Kind = "ended"
	Adopted       Kind = "changed"
	Renamed       Kind = "renamed"
	Misconfigured Kind = "misconfigured"
	Repaired      Kind = "repaired"
	RulesFailed   Kind = "rules-failed"
	Obstructed    Kind = "obstructed"
	Paused        Kind = "paused"
	Resumed       Kind = "resumed"
	Trouble       Kind = "trouble"
)

// Kinds are all of them.
var Kinds = []Kind{Probing, NotReady, Refused, Superseded, Switching, Switched, SwitchedBack, Withdrawn, Released,
	Quiesced, Enabled, DrainBegan, Drained, DrainExpired, StopBegan, Stopped, Ended, Adopted, Renamed, Misconfigured,
	Repaired, RulesFailed, Obstructed, Paused, Resumed, Trouble}

// News is one thing that happened.
type News struct {
	// ID rises from one to the next, also across restarts of the daemon.
	ID         uint64
	Time       time.Time
	Kind       Kind
	Message    string // as logged
	Service    string
	Unit       string // that it is about
	Invocation string // of Unit
	From       string // unit that had the traffic before
	Reason     string
	Took       time.Duration
	Left       Left
	Waited     LetGo // of Resumed
}

// newsKey is under which a context carries the News that a log record tells.
type newsKey struct{}

// NewsOf returns the News that the log record made with ctx tells, so that a
// handler can say in fields what the line says in words; nil if it tells none.
func NewsOf(ctx context.Context) *News {
	n, _ := ctx.Value(newsKey{}).(*News)
	return n
}

// announce logs a message with args, and hands it on as news. What clients ask for
// from now on is answered anew.
func (c *Controller) announce(level slog.Level, message string, n News, args ...any) {
	n.Message = message
	n = c.publish(n)
	c.Log.Log(context.WithValue(context.Background(), newsKey{}, &n), level, message, args...)
}

// publish hands on news that are not worth a line.
func (c *Controller) publish(n News) News {
	c.stale()
	n = c.Feed.Add(n)
	if c.Tell != nil {
		c.Tell(n)
	}
	return n
}

// about begins the news of an activation.
func about(kind Kind, service string, a *Activation) News {
	return News{Kind: kind, Service: service, Unit: a.Unit, Invocation: a.ID}
}
