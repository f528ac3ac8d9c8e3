// Package server has the servers that the loss bench deploys: ours in several
// moods, and nginx, redis, node and python as Debian packages them.
package server

import (
	"github.com/switcheroo/switcheroo/test/load"
)

// Kind is a server that can be deployed as one version after another. Versions
// are "v0", "v1" and so on, and answer with that name.
type Kind struct {
	Name  string // "quick"
	About string // one line: what is special about it
	// Takes says how the server can get its public or private port.
	Takes Takes
	// Notify says that it sends READY=1 itself; else it is ready once it
	// listens.
	Notify bool
	// Service returns the [Service] lines of one instance that gets its port
	// as in says. They may use %i, which is the version.
	Service func(in Listen) string
	// Files are put on the host, and Binds are programs from outside of it.
	Files map[string]string
	Binds map[string]Build
	// Clients are the kinds of clients that it can answer.
	Clients []load.Kind
	// Load is what suits the server's strength. Targets, Duration and
	// SourcePorts are the bench's to fill in.
	Load load.Config
	// Own are classes that this server causes by itself, with no switch near:
	// an accept queue that is full has SYNs sent again. They are counted and
	// shown, and are no losses of the contender.
	Own []load.Class
}

// Build is a program: a path on this machine, or a package of this module to
// build.
type Build struct {
	Path    string
	Package string
}

// Takes is a set of ways in which a server can get where to listen.
type Takes uint8

const (
	AnyPort    Takes = 1 << iota // listens on port 0, and the daemon finds it
	Number                       // a number that it is told
	Activation                   // a listening socket passed by systemd
	ReusePort                    // a number, with SO_REUSEPORT
)

// Listen is how an instance is told where to listen.
type Listen struct {
	How Takes // one of them
	// Port is a number, or an expression of systemd's such as "${PORT}", for
	// Number and ReusePort.
	Port string
}
