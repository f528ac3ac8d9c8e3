package doctor

import (
	"net/netip"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Facts are what is known of a host. The zero value of a field is health.
type Facts struct {
	// Unknown says, by the name of a check, why its facts are not known.
	Unknown map[string]string

	Down     bool     // the daemon does not answer
	Problems []string // what the daemon tries again
	Mistakes []Mistake

	Conntrack  Use
	Ephemeral  Ports   // the kernel's range for outgoing connections
	Reserved   []Ports // in which it hands out none
	Private    Ports   // PrivatePorts=
	PrivateAt  string  // where that stands
	Fixed      []Fixed // private ports that unit files name
	Tables     []Table // of iptables, that are in use
	Foreign    []nat.Finding
	Listeners  []Listener
	Detours    []Detour
	NoIPv6     string       // why IPv6 is not redirected, "" if it is
	IPv6       []netip.Addr // of this host, that others can dial
	Locks      []Lock
	Claims     []Claim
	Lifecycles []Lifecycle
}

// Mistake is one in a unit file, or a claim that was refused.
type Mistake struct{ Unit, Message string }

// Use is how full a table is.
type Use struct{ Entries, Most int }

// Ports is a range of ports, both ends included; the zero value is empty.
type Ports struct{ First, Last uint16 }

// Fixed is a private port that a unit's file names.
type Fixed struct {
	Unit string
	Port uint16
}

// Table is one of a variant of iptables.
type Table struct{ Variant, Family, Name string }

// Listener is a listening socket of an instance.
type Listener struct {
	Unit    string
	Addr    netip.AddrPort
	Guard   bool // Guard= is yes
	Guarded bool // the kernel guards the port
	Public  bool // the port is a public one as well, which is never guarded
}

// Detour is a NAT rule of somebody else's that leads to a private port.
type Detour struct {
	Rule string
	Port uint16
	Unit string // whose port it is
}

// Lock is a lock over rules that was found held for a while.
type Lock struct {
	Path   string
	Holder string // in words
	For    time.Duration
}

// Claim is an endpoint of a service that a process of the library holds.
type Claim struct {
	Service  string
	Endpoint string
	Owner    string // the other service
	PID      int
}

// Lifecycle is how systemd starts and stops an instance.
type Lifecycle struct {
	Unit        string
	Ordered     bool          // After=switcherood.service
	Stale       bool          // its files have changed since systemd has loaded them
	Drains      bool          // its ExecStop= drains
	Drain       time.Duration // DrainSec=
	StopTimeout time.Duration // TimeoutStopSec=
	Killed      bool          // the last time it did not stop within that
}
