package config

import (
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
		if w.fault != nil {
			r.failWord(w, w.fault)
			continue
		}
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
	name, endpoint := cutName(s)
	if endpoint != s {
		if f := checkName(name); f != nil {
			return Listen{}, f
		}
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
