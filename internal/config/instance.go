package config

import (
	"math"
	"net/netip"
	"time"
)

// Infinity is the value of a timespan written "infinity".
const Infinity = time.Duration(math.MaxInt64)

// Scope says whose connections are redirected.
type Scope uint8

const (
	Network   Scope = 1 << iota // connections that arrive at this host
	Localhost                   // connections that this host opens to itself
	Everyone  = Network | Localhost
)

// Listen is one public endpoint. Name is empty unless the file gives one
// ("https=443"); the zero Addr stands for every address of the host.
type Listen struct {
	Name string
	Addr netip.Addr
	Port uint16
}

// ProbeKind says how readiness is verified before a switch.
type ProbeKind uint8

const (
	ProbeTCP ProbeKind = iota // connected and accepted
	ProbeHTTP
	ProbeNone
)

// Probe is the value of Probe=.
type Probe struct {
	Kind ProbeKind
	Path string // ProbeHTTP: the request path, "/healthz"
}

// Instance is the [X-Switcheroo] section of one unit, validated, with defaults
// filled in and specifiers expanded.
type Instance struct {
	Unit    string // "myapp@v2.service"
	Service string
	Listen  []Listen // never empty
	// Ports are the private ports by endpoint name ("" for the unnamed);
	// nil means auto: found from the unit's listening sockets.
	Ports        map[string]uint16
	Scope        Scope
	Probe        Probe
	ProbeTimeout time.Duration
	Standby      time.Duration
	Drain        time.Duration // or Infinity
	Guard        bool
}
