package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// parseHost reads what stands before the port. The port is for the hints only.
func parseHost(host, port string) (netip.Addr, *fault) {
	inner, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		inner, bracketed = strings.CutSuffix(inner, "]")
		if !bracketed {
			return netip.Addr{}, faultf(listenHint, `a "[" without its "]"`)
		}
	}
	if host == "*" {
		return netip.Addr{}, nil
	}
	if host == "" {
		return netip.Addr{}, faultf(fmt.Sprintf("write %s for every address", port), "no address before the colon")
	}
	addr, err := netip.ParseAddr(inner)
	switch {
	case err != nil && inner == "localhost":
		return netip.Addr{}, faultf(fmt.Sprintf("write 127.0.0.1:%s, or %s with Scope=localhost", port, port), `"localhost" is a name, not an address`)
	case err != nil && !bracketed && strings.Contains(inner, ":"):
		return netip.Addr{}, faultf("write [ADDRESS]:PORT", "an IPv6 address without brackets")
	case err != nil:
		return netip.Addr{}, faultf("write the address itself, names are not looked up", "%s is not an address", quote(inner))
	case addr.Is6() && !bracketed:
		return netip.Addr{}, faultf(fmt.Sprintf("write [%s]:%s", addr, port), "an IPv6 address without brackets")
	case addr.Is4() && bracketed:
		return netip.Addr{}, faultf(fmt.Sprintf("write %s:%s", addr, port), "brackets are for IPv6")
	}
	return addr, checkAddr(addr, port)
}

// checkAddr accepts an address that a client can dial and a rule can match.
func checkAddr(addr netip.Addr, port string) *fault {
	switch {
	case addr.Zone() != "":
		return zoneFault()
	case addr.Is4In6():
		return faultf(fmt.Sprintf("write %s:%s", addr.Unmap(), port), "an IPv4 address in IPv6 form")
	case addr.IsUnspecified():
		return faultf(fmt.Sprintf("write %s for every address, IPv4 and IPv6", port), "%s is no address that clients dial", addr)
	case addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return faultf("write an address of this host, or the port alone", "no TCP connection goes to %s", addr)
	}
	return nil
}

// zoned reports whether a "%" stands where a zone would, "[fe80::1%eth0]:443",
// which is no specifier.
func zoned(word string) bool {
	_, inner, _ := strings.Cut(word, "[")
	addr, _, found := strings.Cut(inner, "%")
	_, err := netip.ParseAddr(addr)
	return found && err == nil
}

func zoneFault() *fault {
	return faultf(`leave "%ZONE" out, the address is enough`, "an address with a zone")
}

// checkPortless refuses an address that stands alone; colon is where its last
// colon is, or -1.
func checkPortless(endpoint string, colon int) *fault {
	addr, err := netip.ParseAddr(endpoint)
	if err == nil && addr.Is6() {
		// 2001:db8::1:443 is probably meant to have a port, 2001:db8::1 is not.
		_, err = netip.ParseAddr(endpoint[:colon])
		if err == nil {
			return nil
		}
		return faultf(fmt.Sprintf("write [%s]:PORT", addr), "an address without a port")
	}
	if err == nil || strings.HasSuffix(endpoint, "]") {
		return faultf(fmt.Sprintf("write %s:PORT", show(endpoint)), "an address without a port")
	}
	return nil
}
