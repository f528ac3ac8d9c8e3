package controller

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// cover finds the private port of each public endpoint that in asks for among
// the listeners ls of its unit, and how much of the endpoint it serves. The
// error says what was found and what to do.
func cover(in *config.Instance, ls []Listener) ([]nat.Target, error) {
	var targets []nat.Target
	for _, l := range in.Listen {
		port, err := privatePort(in, l, ls)
		if err != nil {
			return nil, err
		}
		ts := coverEndpoint(l, port, ls)
		if len(ts) == 0 {
			return nil, fmt.Errorf("nothing that it listens on (%s) can serve Listen=%s: let it listen on that address, or on all of them", list(ls, port), l)
		}
		if in.Scope&config.Network != 0 && !l.Addr.IsLoopback() && !slices.ContainsFunc(ts, reachable) {
			return nil, fmt.Errorf("it listens on loopback only (%s), which the network cannot reach: let it listen on all addresses, or set Scope=localhost", list(ls, port))
		}
		targets = append(targets, ts...)
	}
	return targets, nil
}

// privatePort returns the port that serves l: the configured one, or the only
// one that the unit listens on.
func privatePort(in *config.Instance, l config.Listen, ls []Listener) (uint16, error) {
	if in.Ports != nil {
		port := in.Ports[l.Name]
		if !slices.ContainsFunc(ls, func(s Listener) bool { return s.Addr.Port() == port }) {
			return 0, noListener(fmt.Sprintf("nothing listens on its private port %d (Port= for Listen=%s)", port, l))
		}
		return port, nil
	}
	ports := distinctPorts(ls)
	switch {
	case len(ports) == 0:
		return 0, noListener("it has no listening TCP socket: let it listen before it says that it is ready, or set Port= if another process listens for it")
	case len(ports) > 1:
		return 0, fmt.Errorf("it listens on several ports (%s): say which one serves Listen=%s with Port=", list(ls, 0), l)
	case slices.ContainsFunc(in.Listen, func(l config.Listen) bool { return l.Port == ports[0] }):
		return 0, fmt.Errorf("it listens on the public port %d itself: let it listen on port 0, or on any other; if it is what the next one is to replace, set Port=%[1]d", ports[0])
	}
	return ports[0], nil
}

// noListener says that there is none yet, which may pass.
type noListener string

func (e noListener) Error() string { return string(e) }

// coverEndpoint returns what the listeners on port serve of l. Every address is
// one target a family set; an endpoint for all addresses is narrowed to those
// that are bound.
func coverEndpoint(l config.Listen, port uint16, ls []Listener) []nat.Target {
	var any nat.Family // families of which every address is bound
	var bound []netip.Addr
	for _, s := range ls {
		if s.Addr.Port() != port {
			continue
		}
		switch a := s.Addr.Addr().Unmap().WithZone(""); {
		case !a.IsUnspecified():
			bound = append(bound, a)
		case a.Is4():
			any |= nat.IPv4
		case s.V6Only:
			any |= nat.IPv6
		default:
			any |= nat.DualStack
		}
	}
	if l.Addr.IsValid() {
		if any&family(l.Addr) == 0 && !slices.Contains(bound, l.Addr) {
			return nil
		}
		return []nat.Target{{Endpoint: nat.Endpoint{Addr: l.Addr, Port: l.Port}, Port: port, Families: family(l.Addr)}}
	}
	var ts []nat.Target
	if any != 0 {
		ts = append(ts, nat.Target{Endpoint: nat.Endpoint{Port: l.Port}, Port: port, Families: any})
	}
	slices.SortFunc(bound, netip.Addr.Compare)
	for _, a := range slices.Compact(bound) {
		// A link-local address is not one without its interface.
		if any&family(a) == 0 && !a.IsLinkLocalUnicast() {
			ts = append(ts, nat.Target{Endpoint: nat.Endpoint{Addr: a, Port: l.Port}, Port: port, Families: family(a)})
		}
	}
	return ts
}

// reachable reports whether other hosts can dial t.
func reachable(t nat.Target) bool {
	return !t.Endpoint.Addr.IsValid() || !t.Endpoint.Addr.IsLoopback()
}

// loses says what clients of cur would lose if next had the traffic: families
// or addresses that cur serves, that next's own file still asks for, and that
// next does not serve. It is "" if they lose nothing. A family that this host
// does not have (any more) is nothing to lose.
func loses(cur, next []nat.Target, in *config.Instance, have nat.Family) string {
	for _, t := range cur {
		asked := slices.ContainsFunc(in.Listen, func(l config.Listen) bool {
			return l.Port == t.Endpoint.Port && (!l.Addr.IsValid() || l.Addr == t.Endpoint.Addr)
		})
		if !asked {
			continue
		}
		missing := t.Serves() & have
		for _, n := range next {
			if n.Endpoint.Port == t.Endpoint.Port && (!n.Endpoint.Addr.IsValid() || n.Endpoint.Addr == t.Endpoint.Addr) {
				missing &^= n.Families
			}
		}
		if missing == 0 {
			continue
		}
		if t.Endpoint.Addr.IsValid() {
			return netip.AddrPortFrom(t.Endpoint.Addr, t.Endpoint.Port).String()
		}
		return fmt.Sprintf("%s on port %d", missing, t.Endpoint.Port)
	}
	return ""
}

func family(a netip.Addr) nat.Family {
	if a.Unmap().Is4() {
		return nat.IPv4
	}
	return nat.IPv6
}

func distinctPorts(ls []Listener) []uint16 {
	ports := make([]uint16, 0, len(ls))
	for _, s := range ls {
		ports = append(ports, s.Addr.Port())
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// list renders the listeners on port, or all of them if it is 0.
func list(ls []Listener, port uint16) string {
	var out []string
	for _, s := range ls {
		if port == 0 || s.Addr.Port() == port {
			out = append(out, s.Addr.String())
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ", ")
}
