package switcheroo

import "errors"

var (
	// ErrNoPort says that each port of the private range is in use.
	ErrNoPort = errors.New("no free private port")
	// ErrOutOfSight says that an older process of the service is there and cannot
	// be seen from here, as in a container with process ids of its own.
	ErrOutOfSight = errors.New("cannot be seen from here")
	// ErrNotReady says that the probe did not succeed in its time.
	ErrNotReady = errors.New("not ready")
)

// OptionError says what is wrong with Options.
type OptionError struct{ Err error }

// Error returns what is wrong.
func (e *OptionError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *OptionError) Unwrap() error { return e.Err }
