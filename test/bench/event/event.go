// Package event is what the witness in a host tells the benchmark outside of
// it: lines of JSON, each with the moment it is about.
package event

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// Kind says what happened.
type Kind string

const (
	Ready    Kind = "ready"    // a service is about to send READY=1
	Accepted Kind = "accepted" // a service has accepted a connection
	Closed   Kind = "closed"   // that connection has ended
	Stopping Kind = "stopping" // a service was sent SIGTERM
	Exec     Kind = "exec"     // a process has become iptables
	Exit     Kind = "exit"     // it has ended
	Commit   Kind = "commit"   // a family's redirects are others, from now on
	Watching Kind = "watching" // the witness misses nothing from now on
	Ran      Kind = "ran"      // a command that the witness timed has ended
)

// Event is one observation. Which of the fields beyond At and Kind are set
// depends on Kind.
type Event struct {
	// At is CLOCK_MONOTONIC, which all hosts of a machine share.
	At     time.Duration `json:"at"`
	Kind   Kind          `json:"kind"`
	Unit   string        `json:"unit,omitempty"`   // of the service: its %i
	PID    int           `json:"pid,omitempty"`    // of Exec and Exit
	Family int           `json:"family,omitempty"` // of Commit: 4 or 6
	Took   time.Duration `json:"took,omitempty"`   // of Ran, from its start to its exit
}

// Now is CLOCK_MONOTONIC.
func Now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // the clock exists on every kernel
	}
	return time.Duration(t.Nano())
}

// Socket is where a service of the host sends its own events: an abstract
// name, so that a sandboxed one reaches it, too.
const Socket = "@switcheroo-bench"

// Write writes one event as a line.
func Write(w io.Writer, e Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// Read calls each with the events of r until it ends.
func Read(r io.Reader, each func(Event)) error {
	lines := json.NewDecoder(r)
	for {
		var e Event
		if err := lines.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read the witness: %w", err)
		}
		each(e)
	}
}
