package controller

import (
	"net/netip"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
)

// Unit is what systemd said about one unit when it was read.
type Unit struct {
	Name       string // canonical: "myapp@v2.service"
	Invocation string // InvocationID, 32 hex digits; "" if it never ran
	Active     string // ActiveState
	Sub        string // SubState
	Job        string // type of the queued job, "" if none
	Type       string // Type= of its [Service] section
	Result     string // why it ended: "success", "timeout", "exit-code", ...
	Restarts   uint32 // NRestarts: automatic ones since the last manual start
	CGroup     string // ControlGroup
	ReadyAt    time.Duration
	StartedAt  time.Duration
	// Sockets are the socket units whose listeners it is passed.
	Sockets []string
	Files   []config.File // those that may hold an [X-Switcheroo] section
}

// Listener is a listening TCP socket of a unit.
type Listener struct {
	Addr   netip.AddrPort
	V6Only bool
	// Lasting: it is systemd's own, of one of the unit's Sockets.
	Lasting bool
}

// running reports whether the unit has come up and nothing has been asked of
// it that would end it. A reload ("reloading", "refreshing") is not an end.
func (u Unit) running() bool {
	return u.up() && !u.ending()
}

func (u Unit) up() bool {
	switch u.Active {
	case "active", "reloading", "refreshing":
		return true
	}
	return false
}

// ending reports whether the unit is on its way down: a stop or restart is
// queued, or under way.
func (u Unit) ending() bool {
	return u.Active == "deactivating" || u.Job == "stop" || u.Job == "restart" || u.Job == "try-restart"
}

// starting reports whether the unit may still come up without anybody's doing.
func (u Unit) starting() bool {
	return u.Active == "activating" || u.Job == "start"
}

// ended reports whether nothing of the unit's processes is left.
func (u Unit) ended() bool {
	switch u.Active {
	case "", "inactive", "failed":
		return true
	}
	return u.autoRestart()
}

// autoRestart reports whether systemd waits to restart the unit by itself
// (auto-restart, since v254 also auto-restart-queued).
func (u Unit) autoRestart() bool { return strings.HasPrefix(u.Sub, "auto-restart") }

// returning reports whether the unit may be up again without anybody's doing: it
// is, or will be restarted, or is ending, and what comes then is not known yet.
func (u Unit) returning() bool {
	switch {
	case u.Job == "stop":
		return false
	case u.Job != "":
		return true
	}
	return !u.ended() || u.autoRestart()
}

// startPost reports whether the unit is up but for what its ExecStartPost= has
// to do.
func (u Unit) startPost() bool { return u.Active == "activating" && u.Sub == "start-post" }

// refusing reports whether the unit is past the point where it may still
// accept connections: systemd has told it, or is about to tell it, to go.
// While ExecStop= runs (sub-state "stop") it still serves.
func (u Unit) refusing() bool {
	return u.ended() || u.Active == "deactivating" && u.Sub != "stop"
}

// notifies reports whether the unit says itself when it is ready.
func (u Unit) notifies() bool { return strings.HasPrefix(u.Type, "notify") }
