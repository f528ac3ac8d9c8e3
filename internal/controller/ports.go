package controller

import (
	"context"
	"net/netip"
	"os"
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
	// Holder names who keeps Lock or Apply waiting, in words; "" if nobody is
	// known to. It may be called at any time.
	Holder() string
	// Anticipate says that an Apply may be near. It returns at once.
	Anticipate()
	// Apply and Read are nat.Backend's; the caller holds the lock.
	Apply(ctx context.Context, want nat.Rules) (nat.Change, error)
	Read(ctx context.Context) ([]nat.Installed, error)
	// Touched reports whether another program may have changed rules since it
	// was last asked. It is not called while Apply runs.
	Touched(ctx context.Context) bool
	// Families are those that rules can be written for and that this host
	// has addresses of.
	Families() nat.Family
	// Claimed says who else, without the daemon, leads the endpoints of a
	// redirect to himself; "" if nobody does.
	Claimed(ctx context.Context, rd nat.Redirect) (who string, err error)
	// Foreign returns others' rules that stand in the way of redirects.
	Foreign(ctx context.Context, redirects []nat.Redirect) ([]nat.Finding, error)
}

// Gate is where the new connections of paused services wait, once rules with a
// nat.Hold are in force.
type Gate interface {
	// Holds returns the pauses that the rules hold; the caller holds the lock.
	Holds(ctx context.Context) ([]nat.Held, error)
	// Release lets the connections of a service go, as fast as it accepts
	// them, and returns once none waits. When ctx ends first, they are held
	// again.
	Release(ctx context.Context, service string) (LetGo, error)
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

// Keeper keeps copies of the listeners that instances have bound, also while no
// daemon runs, under keys of the Controller's. Its methods may be called by
// several goroutines; only those with a context may take a moment.
type Keeper interface {
	// Free reports whether nothing on this host is in the way of a listener on
	// port. If it is to be quiet, too, nothing is bound there: no connection
	// that is just over, which only SO_REUSEADDR overlooks.
	Free(port uint16, quiet bool) bool
	// Keep keeps a copy of l, which is an error unless that is a TCP socket of
	// this host's which listens on port. The caller still closes l.
	Keep(ctx context.Context, key string, port uint16, l *os.File) error
	// Kept returns the keys of all copies, and the port of each.
	Kept() map[string]uint16
	// Copy returns another copy, for the caller to close; nil if none is kept.
	Copy(key string) (*os.File, error)
	// Waiting returns how many connections wait in the queues of the listeners
	// on port.
	Waiting(ctx context.Context, port uint16) (int, error)
	// Drop closes the copy of that key.
	Drop(key string)
}

// noKeeper keeps nothing.
type noKeeper struct{}

func (noKeeper) Free(uint16, bool) bool                               { return false }
func (noKeeper) Keep(context.Context, string, uint16, *os.File) error { return ErrNoPorts }
func (noKeeper) Kept() map[string]uint16                              { return map[string]uint16{} }
func (noKeeper) Copy(string) (*os.File, error)                        { return nil, nil }
func (noKeeper) Waiting(context.Context, uint16) (int, error)         { return 0, nil }
func (noKeeper) Drop(string)                                          {}

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
