package api

import "fmt"

// Code is a kind of error that programs can tell apart.
type Code string

// The codes of errors, and the HTTP status of each.
const (
	BadRequest  Code = "bad-request"  // 400: not understood; the message names the field
	Denied      Code = "denied"       // 403: the caller may not do that
	NotFound    Code = "not-found"    // 404: no such route
	NoService   Code = "no-service"   // 404
	NoInstance  Code = "no-instance"  // 404: no such unit, or it has no [X-Switcheroo] section
	BadMethod   Code = "bad-method"   // 405
	Conflict    Code = "conflict"     // 409: not possible as things stand
	NoRollback  Code = "no-rollback"  // 409: nothing to go back to
	StartFailed Code = "start-failed" // 409: systemd did not start the unit, or it ended
	ProbeFailed Code = "refused"      // 409: the instance runs, but is not switched to
	RolledBack  Code = "rolled-back"  // 409: it had the traffic and lost it again
	Overtaken   Code = "overtaken"    // 409: another instance got the traffic in its place
	NotPaused   Code = "not-paused"   // 409: a service that is to be resumed
	Locked      Code = "locked"       // 409: the rules cannot be changed: mostly, another program holds their lock
	TooLarge    Code = "too-large"    // 413
	TooMany     Code = "too-many"     // 429: of the caller's calls at once
	Internal    Code = "internal"     // 500
	Unavailable Code = "unavailable"  // 503: the daemon is starting, or busy
	Timeout     Code = "timeout"      // 504: not within the time that was given
)

// Error is an error of the daemon's.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// HintText says what to do about it, if that is known.
	HintText string `json:"hint,omitempty"`
	// Status is the HTTP status.
	Status int `json:"-"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Hint says what to do about the error.
func (e *Error) Hint() string { return e.HintText }

// Errorf returns an Error without hint.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithHint returns e with a hint.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.HintText = fmt.Sprintf(format, args...)
	return e
}

// Failure is the body of an answer that is no success.
type Failure struct {
	Error *Error `json:"error"`
}

// UnreachableError says that no daemon answers.
type UnreachableError struct {
	Socket string
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("switcherood does not answer on %s: %v", e.Socket, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Hint says how to start it.
func (e *UnreachableError) Hint() string { return `start it with "systemctl start switcherood"` }
