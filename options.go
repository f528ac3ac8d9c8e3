package switcheroo

import (
	"log/slog"
	"os/exec"
	"time"
)

// Scope says whose connections are led to this process.
type Scope uint8

const (
	Network   Scope = 1 << iota // connections that arrive at this host
	Localhost                   // connections that this host opens to itself
	Everyone  = Network | Localhost
)

// Backend is one of the two iptables there are.
type Backend string

const (
	Auto           Backend = ""                // what the command iptables is on this host
	IptablesNFT    Backend = "iptables-nft"    // nftables in the kernel
	IptablesLegacy Backend = "iptables-legacy" // x_tables in the kernel
)

// Options say what a process serves, and how it takes over. Name and Listen are
// required.
type Options struct {
	// Name is the service: what the processes that follow one another have in
	// common, on this host. At most 180 bytes, without control characters.
	Name string
	// Listen are the public endpoints: "8080" (every address of this host),
	// "192.0.2.7:8080", "[2001:db8::1]:443". All lead to the one private port.
	Listen []string
	// PortMin and PortMax are the range in which to find a private port: 0 and
	// 0 stand for 40400 and 40499.
	PortMin, PortMax int
	// Scope is whose connections to lead here; 0 stands for Everyone.
	Scope Scope

	// Probe is asked of this process, at its private port, before it gets the
	// traffic: "tcp" (a connection is accepted; "" stands for it), "http:/path"
	// (answered with 2xx or 3xx), or "none".
	Probe string
	// ProbeTimeout is how long the probe may take to succeed; 0 stands for 30s.
	ProbeTimeout time.Duration
	// Standby is how long the old process is kept as it is after the switch, to
	// be gone back to; 0 stands for 10s, and a negative one for no time.
	Standby time.Duration
	// Drain is how long connections of the old process may take to end by
	// themselves before it gets its SIGTERM; 0 stands for 5min, and a negative
	// one for as long as they like.
	Drain time.Duration

	// PortOnly reserves the number of a private port, and does not listen:
	// another process, a child for instance, will. Others that use this package
	// do not take it meanwhile.
	PortOnly bool

	// Iptables returns the command iptables with args, which is then run in
	// this process's network namespace; for instance with sudo. nil stands for
	// the system's own. If it is given, IPv6 is redirected only if IP6tables is
	// given too.
	Iptables  func(args ...string) *exec.Cmd
	IP6tables func(args ...string) *exec.Cmd
	// Backend chooses between the system's own iptables commands.
	Backend Backend

	Log *slog.Logger // nil: say nothing
}
