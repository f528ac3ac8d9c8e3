// Package server has the servers that the loss bench deploys: ours in several
// moods, and nginx, redis, node and python as Debian packages them.
package server

import (
	"fmt"
	"strings"

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
	// Service returns all [Service] lines of one instance that gets its port
	// as in says, which must be one of Takes. They may use %i, which is the
	// version, and name directories after %n, so units' names must differ.
	Service func(in Listen) string
	// Files are put on the host, and Binds are programs from outside of it.
	Files map[string]string
	Binds map[string]Build
	// Clients are the kinds of clients that it can answer.
	Clients []load.Kind
	// Load is what suits the server's strength, on two cores that it shares
	// with the clients: the clients of each of the two places that there are
	// clients in. Targets, Duration and SourcePorts are the bench's to fill in.
	Load load.Config
	// Own are classes that this server causes by itself, with no switch near:
	// an accept queue that is full has SYNs sent again. They are counted and
	// shown, and are no losses of the contender.
	Own []load.Class
}

// All returns all kinds, in the order of a report.
func All() []Kind {
	return []Kind{quick, slowAccept, abrupt, graceful, overload, resetting, nginx, redis, node, python}
}

// ByName returns the kind with that name.
func ByName(name string) (Kind, error) {
	var names []string
	for _, k := range All() {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return Kind{}, fmt.Errorf("no kind of server %q, only %s", name, strings.Join(names, ", "))
}

// Build is a program: a path on this machine, or a package of this module to
// build.
type Build struct {
	Path    string
	Package string
}
