package iptables

import (
	"net/netip"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// packet is what we know of the first packet of a connection to one of our
// endpoints when it meets somebody else's rule.
type packet struct {
	family nat.Family
	dst    netip.Addr   // the endpoint's; the zero Addr stands for any of local
	local  []netip.Addr // the addresses of this host
	port   uint16       // as the rule sees it
	orig   uint16       // once redirected: the port dialled, which conntrack remembers
	lo     bool         // comes from this host
}

// dialled is the port that the client dialled.
func (p packet) dialled() uint16 {
	if p.orig != 0 {
		return p.orig
	}
	return p.port
}

// truth says whether a rule matches a packet, as far as one can tell.
type truth uint8

const (
	no truth = iota
	maybe
	// likely: every such packet but those that come another way, for instance
	// through another interface.
	likely
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) not() truth {
	switch t {
	case no:
		return yes
	case yes:
		return no
	}
	return maybe
}

// to reports whether the packet goes to an address in prefix.
func (p packet) to(prefix netip.Prefix) truth {
	if p.dst.IsValid() {
		return truthOf(prefix.Contains(p.dst))
	}
	if prefix.Bits() == 0 {
		return yes
	}
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	if p.lo && loopback.Overlaps(prefix) {
		return maybe // every address in it is the host's
	}
	for _, a := range p.local {
		if prefix.Contains(a) {
			return likely
		}
	}
	return no
}

// through reports whether the packet comes in through an interface, named as
// iptables does ("eth+" stands for all whose names begin so).
func (p packet) through(name string) truth {
	switch {
	case name == "+":
		return yes
	case p.lo:
		return truthOf(name == "lo" || name == "l+" || name == "lo+")
	case name == "lo":
		return no
	}
	return likely
}
