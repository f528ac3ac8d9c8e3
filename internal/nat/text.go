package nat

import (
	"fmt"
	"net/netip"
	"strconv"
)

// Canonical returns e without the two other spellings that its address may
// have: an IPv4 address mapped into IPv6, and the unspecified address, which
// like the zero Addr stands for every address (of the families served).
func (e Endpoint) Canonical() Endpoint {
	e.Addr = e.Addr.Unmap()
	if e.Addr.IsUnspecified() {
		e.Addr = netip.Addr{}
	}
	return e
}

// String returns "443", "192.0.2.7:443" or "[2001:db8::1]:443".
func (e Endpoint) String() string {
	if !e.Addr.IsValid() {
		return strconv.Itoa(int(e.Port))
	}
	return netip.AddrPortFrom(e.Addr, e.Port).String()
}

// String returns "network", "localhost" or "everyone".
func (s Scope) String() string {
	switch s {
	case Network:
		return "network"
	case Localhost:
		return "localhost"
	case Everyone:
		return "everyone"
	}
	return fmt.Sprintf("Scope(%d)", uint8(s))
}

// String returns "IPv4", "IPv6" or "IPv4+IPv6".
func (f Family) String() string {
	switch f {
	case IPv4:
		return "IPv4"
	case IPv6:
		return "IPv6"
	case DualStack:
		return "IPv4+IPv6"
	}
	return fmt.Sprintf("Family(%d)", uint8(f))
}
