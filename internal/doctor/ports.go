package doctor

import (
	"fmt"
	"slices"

	"github.com/switcheroo/switcheroo/internal/api"
)

// exposed is about private ports that answer whoever dials them: a client of an
// old version's would be cut off when that is stopped, and conntrack has to sort
// out two kinds of connections to one port.
func exposed(f *Facts) []api.Ailment {
	var all []api.Ailment
	for _, l := range f.Listeners {
		if l.Guarded || l.Public || l.Addr.Addr().IsLoopback() {
			continue
		}
		a := api.Ailment{Severity: api.Doubtful, Where: fmt.Sprintf("%s: %s", l.Unit, l.Addr)}
		if l.Guard {
			a.Severity = api.Broken
			a.Message = "its private port is not guarded, and can be dialled from outside"
			a.Remedy = "have it guarded again with \"systemctl reload switcherood\"; one that is not switched to is guarded by nobody: let it listen on 127.0.0.1, or stop it"
		} else {
			a.Message = "Guard=no: its private port can be dialled from outside"
			a.Remedy = "leave out Guard=no, or let it listen on 127.0.0.1 if Scope=localhost"
		}
		all = append(all, a)
	}
	for _, d := range f.Detours {
		all = append(all, api.Ailment{Severity: api.Doubtful, Where: d.Rule,
			Message: fmt.Sprintf("this rule leads past the guard to private port %d of %s", d.Port, d.Unit),
			Remedy:  "delete that rule, and let clients dial the public port"})
	}
	return all
}

// overlaps returns what p and q have in common.
func (p Ports) overlap(q Ports) Ports {
	both := Ports{max(p.First, q.First), min(p.Last, q.Last)}
	if both.First > both.Last || both.First == 0 {
		return Ports{}
	}
	return both
}

func (p Ports) has(port uint16) bool { return port != 0 && p.First <= port && port <= p.Last }

// String returns "61000-64999".
func (p Ports) String() string {
	if p.First == p.Last {
		return fmt.Sprint(p.First)
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

// covers reports whether ranges leave nothing out of p.
func covers(ranges []Ports, p Ports) bool {
	port := int(p.First)
	for _, r := range slices.SortedFunc(slices.Values(ranges), func(a, b Ports) int { return int(a.First) - int(b.First) }) {
		if int(r.First) <= port && int(r.Last) >= port {
			port = int(r.Last) + 1
		}
	}
	return port > int(p.Last)
}

// ephemeral is about ports that the kernel gives to any outgoing connection: an
// instance that wants one which is taken cannot start.
func ephemeral(f *Facts) []api.Ailment {
	var all []api.Ailment
	reserve := func(p Ports) string {
		return fmt.Sprintf("reserve them with \"sysctl -w net.ipv4.ip_local_reserved_ports=%s\" (and in /etc/sysctl.d), or choose ports outside", p)
	}
	if both := f.Private.overlap(f.Ephemeral); both != (Ports{}) && !covers(f.Reserved, both) {
		all = append(all, api.Ailment{Severity: api.Doubtful, Where: f.PrivateAt,
			Message: fmt.Sprintf("PrivatePorts=%s and the range %s that outgoing connections are given their ports from have %s in common", f.Private, f.Ephemeral, both),
			Remedy:  reserve(both)})
	}
	for _, p := range f.Fixed {
		own := Ports{p.Port, p.Port}
		if f.Ephemeral.has(p.Port) && !covers(f.Reserved, own) {
			all = append(all, api.Ailment{Severity: api.Doubtful, Where: fmt.Sprintf("%s: Port=%d", p.Unit, p.Port),
				Message: fmt.Sprintf("outgoing connections are given ports from %s: now and then this one will be taken when the unit starts", f.Ephemeral),
				Remedy:  reserve(own)})
		}
	}
	return all
}

const (
	nearlyFull = 90 // per cent of the conntrack table
	filling    = 70
)

// conntrack is about the table that a full one of stops all new connections.
func conntrack(f *Facts) []api.Ailment {
	u := f.Conntrack
	if u.Most == 0 {
		return nil
	}
	percent := u.Entries * 100 / u.Most
	if percent < filling {
		return nil
	}
	a := api.Ailment{Severity: api.Doubtful, Where: "nf_conntrack_max",
		Message: fmt.Sprintf("%d of %d entries of the connection table are used (%d%%); when it is full, new connections are dropped", u.Entries, u.Most, percent),
		Remedy:  fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d (and in /etc/sysctl.d)", 2*u.Most)}
	if percent >= nearlyFull {
		a.Severity = api.Broken
	}
	return []api.Ailment{a}
}
