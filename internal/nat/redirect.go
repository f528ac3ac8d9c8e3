package nat

import "net/netip"

// Endpoint is what clients dial. The zero Addr stands for every address of
// this host, IPv4 and IPv6.
type Endpoint struct {
	Addr netip.Addr
	Port uint16
}

// Scope says whose connections are redirected.
type Scope uint8

const (
	Network   Scope = 1 << iota // connections that arrive at this host
	Localhost                   // connections that this host opens to itself
	Everyone  = Network | Localhost
)

// Family is a set of address families.
type Family uint8

const (
	IPv4 Family = 1 << iota
	IPv6
	DualStack = IPv4 | IPv6
)

// Target is one endpoint and the private port that serves it.
type Target struct {
	Endpoint Endpoint
	Port     uint16 // private; the address dialled is kept
	Families Family // which families of Endpoint are served
}

// Redirect points the endpoints of one service at one activation.
type Redirect struct {
	Service    string // its name
	Activation string // systemd's InvocationID, 32 hex digits
	Scope      Scope
	Targets    []Target
}

// Rules are all that the kernel shall hold of ours: at most one Redirect a
// service.
type Rules struct {
	Redirects []Redirect
	// Private are the private ports whose redirected connections get our
	// conntrack timeouts: those of Redirects, and those of activations that had
	// the traffic and are being seen out. The last connection to an old port
	// begins while a commit is under way.
	Private []uint16
	// Guarded are the private ports that answer redirected and loopback
	// connections only. A port that is public as well is never guarded.
	Guarded []uint16
	// Holds are the services that are paused, at most one Hold for each.
	Holds []Hold
	// Unhurried: nobody waits for what is led elsewhere, and the host is busy. A
	// Backend may take its time, in favour of the servers.
	Unhurried bool
}
