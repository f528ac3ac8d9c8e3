// Package contender has the ways to replace a running server by its next
// version that the loss bench compares, one a file.
//
// To add one, write a type with the methods of Contender and give it a line in
// All; the tests and the bench then run it. A new form of Switcheroo is that
// line alone. What most need is there: instances and alone make unit files of
// a server.Kind, startInstance gives a version a private port of its own,
// awaitListener and settleInstances wait for its listener and for the old
// ones' end. A host may have several services, which switch at the same time:
// whatever a contender puts there has the service's name.
package contender

import (
	"context"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// Contender replaces versions of servers. It has no state of its own: what is
// deployed is on the host.
type Contender interface {
	Name() string  // "switcheroo-nft"; what -contenders names
	About() string // one line: how it does it
	// Ours says whether it is one of Switcheroo's, which must lose nothing.
	Ours() bool
	// Supports returns why this contender cannot run a server, or nil.
	Supports(server.Kind) error
	// Prepare returns what the host needs before it boots.
	Prepare([]Service) (Preparation, error)
	// Start brings the first version of a service up, and returns when it
	// answers on the public port.
	Start(ctx context.Context, a *arena.Arena, s Service, version int) error
	// Switch replaces version-1 by version, and returns when new connections
	// go to version. The old one may still be finishing its own. What the
	// scheme itself waits for, Switch waits for, and nothing else.
	Switch(ctx context.Context, a *arena.Arena, s Service, version int) (Times, error)
	// Settle returns when no older version of the service is left.
	Settle(ctx context.Context, a *arena.Arena, s Service) error
}

// Service is what is deployed: a server on a public port.
type Service struct {
	Name string // letters and digits; units are named after it
	Kind server.Kind
	Port uint16 // public
}

// Preparation is what a host needs before it boots: files by path, and
// programs by their path there.
type Preparation struct {
	Files  map[string]string
	Binds  map[string]server.Build
	Sysctl map[string]string // "net.ipv4.tcp_migrate_req": "1"
	Units  []string          // to start before the first version
}

// Times are when a switch began (the operator typed it) and when new
// connections went to the new version, as far as the contender can know.
type Times struct {
	Began, Moved time.Time
}
