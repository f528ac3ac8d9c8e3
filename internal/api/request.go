package api

// Goal is what a call waits for.
type Goal string

const (
	// ForNothing returns once the request is taken.
	ForNothing Goal = "none"
	// ForSwitched returns once the instance has the traffic.
	ForSwitched Goal = "switched"
	// ForDrained returns once it has, and no older one is left; of a drain,
	// once the instance has no connection left.
	ForDrained Goal = "drained"
)

// Deploy asks for an instance to get the traffic: it is started if it does not
// run, and given the traffic back if it is an older one that is still warm.
type Deploy struct {
	Unit string `json:"unit"` // ".service" may be left out
	Wait Goal   `json:"wait,omitempty"`
	// Timeout ends the wait, not the deploy; 0 is an hour.
	Timeout Duration `json:"timeout,omitempty"`
}

// Rollback asks for an older instance to get the traffic back.
type Rollback struct {
	Service string   `json:"service"`
	Unit    string   `json:"unit,omitempty"` // "": the one before
	Wait    Goal     `json:"wait,omitempty"`
	Timeout Duration `json:"timeout,omitempty"`
}

// Drain asks for an instance to be seen out: new connections go to an older one
// that still runs, if it is current; its own end, and it is stopped.
type Drain struct {
	Unit    string   `json:"unit"`
	Wait    Goal     `json:"wait,omitempty"` // ForNothing or ForDrained
	Timeout Duration `json:"timeout,omitempty"`
}

// Wait waits for what happens anyway. A unit whose own ExecStartPost= waits is
// ready as soon as it does.
type Wait struct {
	Unit    string   `json:"unit"`
	For     Goal     `json:"for,omitempty"` // ForSwitched or ForDrained
	Timeout Duration `json:"timeout,omitempty"`
}

// Outcome is how a deploy, rollback, drain or wait ended, or how things stood
// when it was not waited for.
type Outcome struct {
	Service string `json:"service"`
	Unit    string `json:"unit"`
	// Instance is how it stands; nil if systemd has unloaded it.
	Instance *Instance `json:"instance,omitempty"`
	// Already: there was nothing to do.
	Already bool `json:"already,omitempty"`
	// Warm: a rollback went to an instance that was still running.
	Warm bool `json:"warm,omitempty"`
	// Left is how many connections had not ended when DrainSec= was over.
	Left int `json:"left,omitempty"`
	// Event is the id of the last event before the request: what it caused is
	// in the events since.
	Event uint64   `json:"event"`
	Took  Duration `json:"took"`
}

// File is the text of a unit file or drop-in to check.
type File struct {
	// Name is the file's name or path: "myapp@.service", or
	// "myapp@.service.d/ports.conf".
	Name string `json:"name"`
	Text string `json:"text"`
}

// Check asks for mistakes: in Files, or in all units if there are none.
type Check struct {
	// Unit is what Files belong to; "" is the name of the first of them.
	Unit  string `json:"unit,omitempty"`
	Files []File `json:"files,omitempty"`
}

// Finding is a mistake in a unit file.
type Finding struct {
	Unit string `json:"unit"`
	// Message names file and line and, where it can, a remedy:
	// `myapp@.service:14: [X-Switcheroo] unknown key "Prot" (did you mean "Port"?)`.
	Message string `json:"message"`
}

// Checked is what a check found.
type Checked struct {
	// Units are those that were looked at and have the section.
	Units    []string  `json:"units"`
	Findings []Finding `json:"findings"`
}

// Health is how the daemon is.
type Health struct {
	// Status is "ok", "starting" before the first plan, or "degraded" when
	// Problems tells of what is being tried again.
	Status   string   `json:"status"`
	Problems []string `json:"problems,omitempty"`
	Version  string   `json:"version"`
	Backend  string   `json:"backend"`
	Uptime   Duration `json:"uptime"`
	Services int      `json:"services"`
	// Event is the id of the latest event.
	Event uint64 `json:"event"`
}
