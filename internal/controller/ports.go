package controller

import (
	"context"
	"net/netip"
	"time"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// Units is systemd. Each call returns when ctx ends at the latest.
type Units interface {
	// Status reads one unit anew. A unit that is not loaded is inactive.
	Status(ctx context.Context, name string) (Unit, error)
	// Listeners returns the TCP listeners that u's processes created, or all
	// of this host's if u is the zero Unit.
	Listeners(ctx context.Context, u Unit) ([]Listener, error)
	// Stop queues a stop job; a stopped unit is not an error.
	Stop(ctx context.Context, name string) error
	ResetFailed(ctx context.Context, name string) error
	// Enabled reports whether name starts at boot by itself.
	Enabled(ctx context.Context, name string) (bool, error)
	Enable(ctx context.Context, name string) error
	Disable(ctx context.Context, name string) error
	// BootFinished returns when the boot ended (CLOCK_MONOTONIC), 0 if it
	// has not.
	BootFinished(ctx context.Context) (time.Duration, error)
}

// Permanent is an error of Units that trying again would not change: systemd
// has answered.
type Permanent struct{ Err error }

func (p Permanent) Error() string { return p.Err.Error() }
func (p Permanent) Unwrap() error { return p.Err }

// Router is the kernel's rules.
type Router interface {
	// Lock excludes other writers of the rules until unlock is called.
	Lock(ctx context.Context) (unlock func(), err error)
	// Apply and Read are nat.Backend's; the caller holds the lock.
	Apply(ctx context.Context, want nat.Rules) (nat.Change, error)
	Read(ctx context.Context) ([]nat.Installed, error)
	// Families are those that rules can be written for and that this host
	// has addresses of.
	Families() nat.Family
	// Foreign returns others' rules that stand in the way of redirects.
	Foreign(ctx context.Context, redirects []nat.Redirect) ([]nat.Finding, error)
}

// Left counts what had not ended when a wait was given up.
type Left struct {
	HalfOpen    int // handshakes under way
	Unaccepted  int // connections in accept queues
	Connections int // live connections
	Tracked     int // conntrack entries
}

// Sockets is the state of TCP on this host.
type Sockets interface {
	// Quiesce waits until nothing is queued on the listeners of ports, at
	// most limit.
	Quiesce(ctx context.Context, ports []uint16, limit time.Duration) (Left, error)
	// Drain waits until no connection to ports is left, at most limit
	// (config.Infinity: without limit).
	Drain(ctx context.Context, ports []uint16, limit time.Duration) (Left, error)
	// Forget makes the kernel forget the connections that ports had without a
	// redirect, and returns how many it remembered: the next one from the
	// same source port is a new one. No connection may be left there.
	Forget(ctx context.Context, ports []uint16) (int, error)
}

// Prober asks an instance whether it serves.
type Prober interface {
	// Probe asks what listens on addr (perhaps a wildcard) once. It returns
	// when ctx ends at the latest.
	Probe(ctx context.Context, p config.Probe, addr netip.AddrPort) error
}

// Store keeps State across the daemon's restarts, and the names of the current
// units across reboots.
type Store interface {
	Load() (State, error)
	Save(State) error
	// LastCurrent maps services to the units that were current when last
	// saved, in this boot or an earlier one.
	LastCurrent() (map[string]string, error)
	SaveCurrent(map[string]string) error
}
