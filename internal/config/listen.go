package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Listen is one public endpoint. Name is empty unless the file gives one
// ("https=443"); the zero Addr stands for every address of the host.
type Listen struct {
	Name string
	Addr netip.Addr
	Port uint16
}

// String returns what Listen= would say: "https=[2001:db8::1]:443".
func (l Listen) String() string {
	s := strconv.Itoa(int(l.Port))
	if l.Addr.IsValid() {
		s = netip.AddrPortFrom(l.Addr, l.Port).String()
	}
	if l.Name != "" {
		s = l.Name + "=" + s
	}
	return s
}

// overlaps reports whether a connection can be to both.
func (l Listen) overlaps(other Listen) bool {
	return l.Port == other.Port && (l.Addr == other.Addr || !l.Addr.IsValid() || !other.Addr.IsValid())
}

// listens returns the endpoints in force with the places where they stand.
// ok is false if one is wrong or depends on an instance that is not known.
func (r *reader) listens() (all []Listen, at []Pos, ok bool) {
	faults := len(r.errs)
	known := true
	for _, w := range r.list("Listen") {
		if !w.known {
			known = false
			continue
		}
		l, f := parseListen(w.text)
		for i := 0; i < len(all) && f == nil; i++ {
			f = clash(l, w.at, all[i], at[i])
		}
		if f != nil {
			r.failWord(w, f)
			continue
		}
		all, at = append(all, l), append(at, w.at)
	}
	if len(r.values["Listen"]) == 0 {
		r.fail(r.header, faultf(`say which port clients dial, for example "Listen=443"`, "no Listen="))
	}
	return all, at, known && len(r.errs) == faults
}

// clash tells why l cannot stand beside what is there already.
func clash(l Listen, at Pos, there Listen, thereAt Pos) *fault {
	switch {
	case l.overlaps(there) && at.File != thereAt.File:
		return faultf(`remove one, or put an empty "Listen=" above it to replace the list`, "overlaps Listen=%s at %s", there, thereAt)
	case l.overlaps(there):
		return faultf("remove one", "overlaps Listen=%s in line %d", there, thereAt.Line)
	case l.Name != "" && l.Name == there.Name && l.Port != there.Port:
		return faultf("use another name", "%q already names port %d", l.Name, there.Port)
	}
	return nil
}

const listenHint = "expected PORT, ADDRESS:PORT or [IPV6]:PORT, with NAME= before it if there are several"

// parseListen reads one word of Listen=.
func parseListen(s string) (Listen, *fault) {
	name, endpoint, named := strings.Cut(s, "=")
	if !named {
		name, endpoint = "", s
	} else if f := checkName(name); f != nil {
		return Listen{}, f
	}
	if endpoint == "" {
		return Listen{}, faultf(listenHint, "no port")
	}
	i := strings.LastIndexByte(endpoint, ':')
	if f := checkPortless(endpoint, i); f != nil {
		return Listen{}, f
	}
	if i < 0 {
		port, f := parsePort(endpoint)
		return Listen{Name: name, Port: port}, f
	}
	addr, f := parseHost(endpoint[:i], endpoint[i+1:])
	if f != nil {
		return Listen{}, f
	}
	port, f := parsePort(endpoint[i+1:])
	return Listen{name, addr, port}, f
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

// checkName accepts the name of an endpoint.
func checkName(name string) *fault {
	const hint = "a name is a letter, then up to 31 letters, digits, _ or -"
	if name == "" {
		return faultf(hint, `no name before the "="`)
	}
	if len(name) > 32 || !strings.ContainsRune(letters, rune(name[0])) || !only(name, letters+digits+"_-") {
		return faultf(hint, "%s cannot name an endpoint", quote(name))
	}
	return nil
}

// parsePort reads the number of a port.
func parsePort(s string) (uint16, *fault) {
	const hint = "a port is a number from 1 to 65535"
	number, slash, _ := strings.Cut(s, "/")
	switch {
	case slash == "tcp":
		return 0, faultf("write "+number, "TCP is all there is")
	case s == "":
		return 0, faultf(hint, "no port")
	case !only(s, digits):
		return 0, faultf(hint, "%s is not a port", quote(s))
	case len(s) > 1 && s[0] == '0':
		return 0, faultf(hint, "port %s begins with a zero", show(s))
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, faultf(hint, "port %s is out of range", show(s))
	}
	return uint16(n), nil
}

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
