package api

import "time"

// State is what an instance is to its service.
type State string

// The states of an instance.
const (
	Inactive State = "inactive" // does not run
	Failed   State = "failed"   // does not run: it could not start, or ended with an error
	Starting State = "starting" // systemd starts it, or it runs and is looked at and probed
	Current  State = "current"  // has the traffic
	Standby  State = "standby"  // had it, and is kept warm for a rollback
	Draining State = "draining" // had it, and finishes its connections
	Stopping State = "stopping" // drained; systemd has been told to stop it
	Rejected State = "rejected" // had it, failed or was rolled back, and is seen out
	Refused  State = "refused"  // runs, but is not switched to; Reason says why
)

// Instance is one unit that can serve a service.
type Instance struct {
	Service string `json:"service"`
	Unit    string `json:"unit"`
	// Version is what stands between @ and the suffix; "" in a plain unit.
	Version string `json:"version,omitempty"`
	// Invocation is systemd's InvocationID: it tells one start of the unit
	// from another.
	Invocation string `json:"invocation,omitempty"`
	State      State  `json:"state"`
	// Reason says why it is refused or rejected, or how it failed.
	Reason string `json:"reason,omitempty"`
	// Active and Sub are systemd's ActiveState and SubState.
	Active string `json:"active"`
	Sub    string `json:"sub,omitempty"`
	// Ports are its private ports.
	Ports []uint16 `json:"ports,omitempty"`
	// Since is when it got into its State, as far as is known.
	Since *time.Time `json:"since,omitempty"`
	// Quiesced is when its queues were found empty after it was switched
	// away from.
	Quiesced *time.Time `json:"quiesced,omitempty"`
	// StandbyUntil is until when it is kept warm or, if it is current, until
	// when it is watched. It may be over.
	StandbyUntil *time.Time `json:"standby_until,omitempty"`
	// DrainUntil is when it is stopped even if it has connections.
	DrainUntil *time.Time `json:"drain_until,omitempty"`
	// Standby and Drain are how long StandbySec= and DrainSec= are.
	Standby Duration `json:"standby"`
	Drain   Duration `json:"drain"`
	// Connections is how many it has open; only where that was asked for.
	Connections *int `json:"connections,omitempty"`
}
