package api

import "time"

// EventKind says what an Event is about.
type EventKind string

// The kinds of events.
const (
	Probing        EventKind = "probing"       // an instance runs; its listeners are looked for and probed
	NotReady       EventKind = "not-ready"     // an instance ended before it was ready
	InstanceRefuse EventKind = "refused"       // an instance is not switched to
	Superseded     EventKind = "superseded"    // an instance was ready, but a later one is current; it is seen out
	Switching      EventKind = "switching"     // rules are about to be changed
	Switched       EventKind = "switched"      // new connections go to the instance
	SwitchedBack   EventKind = "switched-back" // new connections go to an older one again
	Withdrawn      EventKind = "withdrawn"     // nothing serves any more; clients are refused
	Released       EventKind = "released"      // the service is not Switcheroo's any more
	Quiesced       EventKind = "quiesced"      // the queues of an older one are empty; its standby begins
	Enabled        EventKind = "enabled"       // the instance is what starts at the next boot
	DrainBegan     EventKind = "draining"      // an older one finishes its connections
	Drained        EventKind = "drained"       // its connections have ended
	DrainExpired   EventKind = "drain-expired" // they have not, and DrainSec= is over
	StopBegan      EventKind = "stopping"      // systemd is told to stop it
	Stopped        EventKind = "stopped"       // it has stopped
	Ended          EventKind = "ended"         // an older one ended by itself
	Changed        EventKind = "changed"       // settings were taken over
	Renamed        EventKind = "renamed"       // the service has another name
	Misconfigured  EventKind = "misconfigured" // a mistake in a unit file
	Repaired       EventKind = "repaired"      // another program had changed the rules
	RulesFailed    EventKind = "rules-failed"  // the rules could not be changed; tried again
	Obstructed     EventKind = "obstructed"    // another program's rule stands in the way
	ServicePaused  EventKind = "paused"        // new connections of the service wait
	ServiceResumed EventKind = "resumed"       // they go on, those that waited too
	Trouble        EventKind = "trouble"       // something else did not work as it should
	Missed         EventKind = "missed"        // events in between are not known any more
)

// Event is one thing that happened.
type Event struct {
	// ID rises from event to event, also across restarts of the daemon.
	ID         uint64    `json:"id"`
	Time       time.Time `json:"time"`
	Kind       EventKind `json:"kind"`
	Message    string    `json:"message"` // in words, as in the log
	Service    string    `json:"service,omitempty"`
	Unit       string    `json:"unit,omitempty"` // that it is about
	Invocation string    `json:"invocation,omitempty"`
	From       string    `json:"from,omitempty"` // unit that had the traffic before
	Reason     string    `json:"reason,omitempty"`
	Took       Duration  `json:"took,omitempty"`
	// Connections are those that had not ended.
	Connections int `json:"connections,omitempty"`
	// Waited is how many connections had to wait in a pause, and Longest how
	// long one of them did.
	Waited  int      `json:"waited,omitempty"`
	Longest Duration `json:"longest,omitempty"`
}

// Switch is one change of what has the traffic: an Event of the kinds Switched,
// SwitchedBack and Withdrawn.
type Switch = Event
