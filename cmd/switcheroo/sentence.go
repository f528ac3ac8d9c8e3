package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// sentence says in words what has happened.
func sentence(e *api.Event) string {
	unit, from := short(e.Unit), short(e.From)
	because := func(s string) string {
		if e.Reason != "" {
			s += ": " + e.Reason
		}
		return s
	}
	took := func(s string) string {
		if e.Took > 0 {
			s += fmt.Sprintf(" (%s)", precise(e.Took))
		}
		return s
	}
	switch e.Kind {
	case api.Probing:
		return unit + " runs; it is looked at and probed"
	case api.NotReady:
		return because(unit + " ended before it was ready")
	case api.InstanceRefuse:
		return because(unit + " is not switched to")
	case api.Superseded:
		return because(unit + " is ready, but not switched to")
	case api.Switching:
		return "the rules are being changed for " + unit
	case api.Switched:
		if from == "" || from == unit {
			return took("new connections go to " + unit)
		}
		return took(fmt.Sprintf("new connections go to %s, not to %s", unit, from))
	case api.SwitchedBack:
		return because(took(fmt.Sprintf("new connections go back to %s, not to %s", unit, from)))
	case api.Withdrawn:
		clients := "clients are refused"
		if !strings.Contains(e.Message, "refused") { // it is paused
			clients = "clients wait"
		}
		return fmt.Sprintf("%s is gone (%s) and no other runs: %s", unit, e.Reason, clients)
	case api.Released:
		return because("no longer led to " + unit)
	case api.Quiesced:
		return took(unit + " has accepted all that was led to it")
	case api.Enabled:
		return unit + " starts at the next boot"
	case api.DrainBegan:
		return unit + " finishes its connections"
	case api.Drained:
		return took(unit + " has no connection left")
	case api.DrainExpired:
		return fmt.Sprintf("%s still has %s after DrainSec=", unit, count(e.Connections, "connection"))
	case api.StopBegan:
		return unit + " is told to stop"
	case api.Stopped:
		return unit + " has stopped"
	case api.Ended:
		return because(unit + " has ended by itself")
	case api.Changed:
		return "settings of " + unit + " are taken over"
	case api.Renamed:
		return "renamed; it was " + e.From
	case api.Repaired:
		return "another program had changed the rules; they are back"
	case api.ServicePaused:
		return fmt.Sprintf("new connections wait, for %s at most", rough(time.Duration(e.Took)))
	case api.ServiceResumed:
		if e.Waited == 0 {
			return because("new connections go on; none had to wait")
		}
		return because(fmt.Sprintf("new connections go on; %s had to wait, %s at most", count(e.Waited, "connection"), precise(e.Longest)))
	case api.RulesFailed:
		return because("the rules could not be changed, trying again")
	case api.Misconfigured, api.Obstructed:
		if e.Reason != "" {
			return e.Reason
		}
	}
	return because(e.Message)
}

// moodOf is how an event is coloured.
func moodOf(k api.EventKind) mood {
	switch k {
	case api.Switched:
		return good
	case api.ServicePaused, api.SwitchedBack, api.DrainExpired, api.Superseded, api.Obstructed, api.Trouble, api.Repaired:
		return bad
	case api.NotReady, api.InstanceRefuse, api.Withdrawn, api.RulesFailed, api.Misconfigured:
		return broken
	}
	return plain
}

// moodOfState is how an instance is coloured.
func moodOfState(s api.State) mood {
	switch s {
	case api.Current:
		return good
	case api.Standby, api.Draining, api.Starting, api.Stopping:
		return bad
	case api.Failed, api.Rejected, api.Refused:
		return broken
	}
	return faint
}
