package switcheroo

import (
	"context"
	"time"
)

// Service is one that processes of this package serve, on this host.
type Service struct {
	Name      string
	Listen    []string // public endpoints
	Scope     Scope
	Processes []Process // the current one first, then from the newest to the oldest
}

// Process is one process of a service.
type Process struct {
	PID     int
	Port    int           // private
	Alive   bool          // it is still the process that installed the rules
	Current bool          // new connections go to it
	Told    bool          // it has been told to end
	Since   time.Duration // how long it has been no longer current; 0 if it is
}

// List returns the services of this host that processes of this package serve,
// sorted by name. Of o it needs Iptables, IP6tables, Backend and Log, if any.
func List(ctx context.Context, o Options) ([]Service, error) { return nil, errTodo }

// Cleanup removes every rule of the service o.Name: from here on its clients are
// refused. Processes are left alone. Of the rest of o it needs what List needs.
func Cleanup(ctx context.Context, o Options) error { return errTodo }
