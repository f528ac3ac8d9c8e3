package main

import (
	"strings"
	"time"
)

// step is one line of the story: who did what.
type step struct {
	At   time.Time
	Who  string
	Text string
	Mood mood
}

// mood is how a step is coloured.
type mood int

const (
	plain mood = iota
	good
	bad
	faint
)

// narrate turns a line of the journal into a step, in words for a reader who
// knows what a port and a systemd unit are, and no more. False means that the
// line tells such a reader nothing.
func narrate(e entry) (step, bool) {
	s := step{At: e.At, Text: e.Message, Mood: moodOf(e.Priority)}
	switch {
	case e.Systemd:
		return narrateSystemd(e, s)
	case e.Unit == daemonUnit:
		return narrateDaemon(e, s)
	}
	s.Who, s.Mood = version(e.Unit), faint
	return s, true
}

func narrateSystemd(e entry, s step) (step, bool) {
	s.Who = "systemd"
	switch {
	case e.ID == unitStarting:
		s.Text = "starts " + version(e.Unit)
	case e.Unit == daemonUnit:
		return s, false // it speaks for itself
	case e.ID == unitStarted:
		s.Text = version(e.Unit) + " says that it is ready"
	case e.ID == processEnded:
		s.Text, s.Mood = version(e.Unit)+" has died, with exit status "+e.Status, bad
	default:
		// The rest says the same again, but for one without an identity.
		if !strings.Contains(e.Message, "start operation timed out") {
			return s, false
		}
		s.Text, s.Mood = version(e.Unit)+" is not ready in time: it has to stop", bad
	}
	return s, true
}

const daemonUnit = "switcherood.service"

// systemd's names for its messages (sd-messages.h).
const (
	unitStarting = "7d4958e842da4a758f6c1cdc7b36dcc5"
	unitStarted  = "39f53479d3a045ac8e11786248231fbf"
	processEnded = "98e322203f7a4ed290d09fe03c09fe15"
)

func narrateDaemon(e entry, s step) (step, bool) {
	const debug = 7
	message, f := parseLog(e.Message)
	if e.Priority >= debug || untold[message] {
		return s, false
	}
	s.Who = "switcherood"
	if t, ok := tellings[message]; ok {
		if text, ok := t.text(f); ok {
			s.Text, s.Mood = text, t.mood
		}
	}
	return s, true
}

// telling says how to tell a message of the daemon's. Its text may need fields
// that the line lacks; such a line, like one that no telling is for, is shown
// as it is.
type telling struct {
	mood mood
	text func(fields) (string, bool)
}

// tellings are the messages of a deploy, in the order in which they come.
var tellings = map[string]telling{
	"ready": {plain, say("is up: it watches systemd and reads the units' files")},
	"switched": {good, either("from", "none",
		say("port {port} now leads to {to}"),
		say("port {port} now leads to {to}; open connections stay with {from}"))},
	"quiesced": {plain, either("standby", "0s",
		say("nothing is on its way to {unit} any more"),
		say("nothing is on its way to {unit} any more; {unit} is kept warm for {standby}, should the new one fail"))},
	"enabled for the next boot": {plain, say("{unit} is what the next boot starts")},
	"drained":                   {plain, say("the last connection of {unit} has ended")},
	"drain deadline: the rest is up to the application's own shutdown": {bad, say("{unit} still has {connections} connections; its own shutdown decides")},
	"stopping":                       {plain, say("asks systemd to stop {unit}")},
	"stopped":                        {plain, say("{unit} has stopped")},
	"not ready, and not switched to": {good, say("{unit} never got ready: {current} keeps the port")},
	"not switched to":                {bad, say("does not switch to {unit}: {reason}")},
	"switched back":                  {good, say("port {port} leads to {to} again")},
	"old one has ended":              {faint, say("{unit} is gone")},
}

// untold are messages about the daemon's own works.
var untold = map[string]bool{
	"watching systemd":             true,
	"took over the nftables table": true,
}

// say returns the text with each {field} replaced: a unit by its version, a
// time by one for people, redirected ports by the public one. It needs all.
func say(text string) func(fields) (string, bool) {
	return func(f fields) (string, bool) {
		var b strings.Builder
		for rest := text; ; {
			before, after, found := strings.Cut(rest, "{")
			b.WriteString(before)
			if !found {
				return b.String(), true
			}
			name, after, _ := strings.Cut(after, "}")
			value, ok := f[name]
			if !ok {
				return "", false
			}
			b.WriteString(readable(name, value))
			rest = after
		}
	}
}

// either chooses by whether a field has this value.
func either(field, value string, is, isNot func(fields) (string, bool)) func(fields) (string, bool) {
	return func(f fields) (string, bool) {
		if f[field] == value {
			return is(f)
		}
		return isNot(f)
	}
}

func readable(name, value string) string {
	switch name {
	case "port": // 443->40123
		public, _, _ := strings.Cut(value, "->")
		return public
	case "unit", "from", "to", "current":
		return version(value)
	case "took", "standby", "after":
		if d, err := time.ParseDuration(value); err == nil {
			return human(d)
		}
	}
	return value
}

// version returns what tells an instance of myapp from the others; other
// units have their names.
func version(unit string) string {
	return strings.TrimPrefix(strings.TrimSuffix(unit, ".service"), "myapp@")
}
