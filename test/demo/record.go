package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// record keeps what the daemon said of each version: the first line of each
// message about it.
type record map[saying]entry

type saying struct{ message, version string }

// note takes e in.
func (r record) note(e entry) {
	if e.Systemd || e.Unit != daemonUnit {
		return
	}
	message, f := parseLog(e.Message)
	unit := f["to"] // of a switch
	if unit == "" {
		unit = f["unit"]
	}
	s := saying{message, version(unit)}
	if _, known := r[s]; !known {
		r[s] = e
	}
}

func (r record) has(message, version string) bool {
	_, ok := r[saying{message, version}]
	return ok
}

func (r record) at(message, version string) entry { return r[saying{message, version}] }

// Messages of the daemon's that the story waits for.
const (
	switched     = "switched"
	switchedBack = "switched back"
	neverReady   = "not ready, and not switched to"
	drained      = "drained"
	stopped      = "stopped"
)

// times are what the table says of the deploys.
type times struct {
	Switch     time.Duration // from READY=1 of v2, as systemd saw it, to the switch
	Drain      time.Duration // from there to the end of the last connection of v1
	BackAfter  time.Duration // from the death of v4, as systemd saw it, to the switch back
	SwitchToV4 time.Duration
	trial      trial
}

// times reads from systemd when it saw what, and from the record when the
// daemon acted on it.
func (r record) times(ctx context.Context, s *stage) (times, error) {
	to2, to4, back := r.at(switched, "v2"), r.at(switched, "v4"), r.at(switchedBack, "v2")
	ready2, err := s.moment(ctx, "v2", "ActiveEnterTimestampMonotonic")
	if err != nil {
		return times{}, err
	}
	ready4, err := s.moment(ctx, "v4", "ActiveEnterTimestampMonotonic")
	if err != nil {
		return times{}, err
	}
	began4, err := s.moment(ctx, "v4", "ExecMainStartTimestampMonotonic")
	if err != nil {
		return times{}, err
	}
	died4, err := s.moment(ctx, "v4", "ExecMainExitTimestampMonotonic")
	if err != nil {
		return times{}, err
	}
	end, ok := r[saying{drained, "v1"}]
	if !ok { // it ran into its deadline
		end = r.at(stopped, "v1")
	}
	wall := func(mono time.Duration) time.Time { return to4.At.Add(mono - to4.Mono) }
	return times{
		Switch:     to2.Mono - ready2,
		Drain:      end.Mono - to2.Mono,
		SwitchToV4: to4.Mono - ready4,
		BackAfter:  back.Mono - died4,
		// Whoever sees something sees it late, on a busy machine by seconds: so
		// these are the times of what must have come before, and after.
		trial: trial{
			Version: "v4",
			From:    wall(ready4),            // the switch came after it
			Dies:    wall(began4 + dieAfter), // its timer ran from later on
			Back:    back.At,                 // the daemon speaks after it has acted
		},
	}, nil
}

// moment reads a time on CLOCK_MONOTONIC from systemd.
func (s *stage) moment(ctx context.Context, version, property string) (time.Duration, error) {
	text, err := s.host.Property(ctx, "myapp@"+version, property)
	if err != nil {
		return 0, err
	}
	us, err := strconv.ParseInt(text, 10, 64)
	if err != nil || us == 0 {
		return 0, fmt.Errorf("systemd says of %s: %s=%q", version, property, text)
	}
	return time.Duration(us) * time.Microsecond, nil
}
