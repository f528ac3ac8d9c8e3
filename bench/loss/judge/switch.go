package judge

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// Switch is one replacement of a version by the next.
type Switch struct {
	Service string    `json:"service"`
	Port    uint16    `json:"port"` // public
	Version int       `json:"version"`
	Began   time.Time `json:"began"` // the operator typed it
	Moved   time.Time `json:"moved"` // new connections go to the new version
	// Over is when no older version was left; zero if that was not waited for.
	Over time.Time `json:"over,omitzero"`
}

// Timeline are the switches of one service, by time.
type Timeline []Switch

// Timelines sorts switches by service and time. Keys are public ports, which
// failures name as well.
func Timelines(switches []Switch) map[uint16]Timeline {
	all := map[uint16]Timeline{}
	for _, s := range switches {
		all[s.Port] = append(all[s.Port], s)
	}
	for _, t := range all {
		sort.Slice(t, func(i, j int) bool { return t[i].Began.Before(t[j].Began) })
	}
	return all
}

// At returns the index of the last switch that had begun at t, -1 if none had.
func (l Timeline) At(t time.Time) int {
	return sort.Search(len(l), func(i int) bool { return l[i].Began.After(t) }) - 1
}

// Loss is a failure and the switch that it belongs to.
type Loss struct {
	load.Failure
	Service string `json:"service,omitempty"`
	// Switch is the version that the last switch before the failure led to; 0
	// if there was none.
	Switch int `json:"switch"`
	// After is how long after that switch began the failure was seen.
	After time.Duration `json:"after_ns"`
}

// replacing returns the index of the switch that replaced a version, named as
// servers answer; -1 if there was none.
func (l Timeline) replacing(version string) int {
	return slices.IndexFunc(l, func(s Switch) bool { return fmt.Sprintf("v%d", s.Version-1) == version })
}

// Attribute finds the switch that a failure belongs to: the last one of its
// service that had begun when the failure was seen. What a switch does to a
// connection shows during it or later (a poisoned conntrack entry refuses ten
// seconds later), never before. A connection that an old version had answered
// belongs to the switch that replaced that version, however many came since; a
// connect that timed out belongs to the one before it began.
func Attribute(f load.Failure, timelines map[uint16]Timeline) Loss {
	l := Loss{Failure: f}
	line := timelines[portOf(f.Remote)]
	if len(line) == 0 {
		return l
	}
	l.Service = line[0].Service
	seen := time.Unix(0, f.Time)
	i := line.At(seen)
	if f.Class == load.TimedOut && f.Phase == load.Connect {
		i = line.At(time.Unix(0, f.Began)) // its SYNs were lost from then on
	}
	if own := line.replacing(f.Version); own >= 0 {
		i = min(i, own)
	}
	if i >= 0 {
		l.Switch, l.After = line[i].Version, seen.Sub(line[i].Began)
	}
	return l
}
