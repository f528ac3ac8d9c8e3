package nat

import "context"

// Installed is a Redirect as read back from the kernel. Rules hold no service
// names, only their keys (see Key).
type Installed struct {
	Key        string // of the service
	Activation string
	// Scope is zero when nothing leads to the targets any more, as after a
	// flush of the chain that we are hooked into.
	Scope   Scope
	Targets []Target
}

// Change says what Apply found and did.
type Change struct {
	Changed  bool // something was written
	Repaired bool // rules that the backend had written before were missing or altered
}

// Backend puts Rules into the kernel. The caller of each method holds the
// rules lock (package lock).
type Backend interface {
	// Apply makes the kernel's rules equal want, and reads them back or has
	// the kernel's proof of what a read would show. One
	// atomic commit a family moves every endpoint; it is idempotent, and
	// after an error each family holds either all of want or what it held.
	Apply(ctx context.Context, want Rules) (Change, error)
	// Read returns what is installed, sorted by Key. A service whose families
	// disagree, as after a death between two commits, has an entry for each
	// of its activations.
	Read(ctx context.Context) ([]Installed, error)
	// Remove takes every trace of ours out of the kernel.
	Remove(ctx context.Context) error
}
