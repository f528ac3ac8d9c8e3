package hold

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// line is the connections of one service that wait, in the order in which they
// came.
type line struct {
	hold    nat.Hold
	leads   []nat.Target // where its endpoints lead now; none: nowhere
	waiting []*waiter
	of      map[flow]*waiter

	// releasing: they are let go, at the pace of the server.
	releasing bool
	empty     chan struct{} // closed once none waits; nil unless somebody asks
	letGo     Released
}

// waiter is one connection that waits.
type waiter struct {
	flow  flow
	id    uint32 // of its latest SYN
	since time.Time
}

// Released says what a release let go.
type Released struct {
	Connections int
	Longest     time.Duration // that one of them waited
	Took        time.Duration // the release
	Left        int           // still waiting when it was given up
}

func newLine() *line { return &line{of: map[flow]*waiter{}} }

// wants reports whether a connection to that address is one of the line's.
func (l *line) wants(hook byte, to netip.AddrPort) bool {
	scope := nat.Network
	if hook == unix.NF_INET_LOCAL_OUT {
		scope = nat.Localhost
	}
	_, ok := targetOf(l.hold.Targets, to)
	return ok && l.hold.Scope&scope != 0
}

// targetOf returns the one whose endpoint stands for an address: that very
// address before every address.
func targetOf(targets []nat.Target, to netip.AddrPort) (found nat.Target, ok bool) {
	family := nat.IPv4
	if to.Addr().Is6() {
		family = nat.IPv6
	}
	for _, t := range targets {
		e := t.Endpoint.Canonical()
		if e.Port != to.Port() || t.Serves()&family == 0 {
			continue
		}
		if e.Addr == to.Addr() {
			return t, true
		}
		if !e.Addr.IsValid() {
			found, ok = t, true
		}
	}
	return found, ok
}

// port returns the private port that a connection would be led to now, 0 if
// none.
func (l *line) port(w *waiter) uint16 {
	t, _ := targetOf(l.leads, w.flow.to)
	return t.Port
}

// take has a connection wait. If it does so already, the SYN that stood for it
// is returned: this one takes its place.
func (l *line) take(f flow, id uint32, now time.Time) (before uint32, repeated bool) {
	if w := l.of[f]; w != nil {
		before, w.id = w.id, id
		return before, true
	}
	w := &waiter{flow: f, id: id, since: now}
	l.of[f] = w
	l.waiting = append(l.waiting, w)
	return 0, false
}

// leave takes out those that have room, in their order, and returns them.
// room counts what each private port has; what it does not name has any.
func (l *line) leave(room map[uint16]int, now time.Time) (gone []*waiter) {
	rest := l.waiting[:0]
	for _, w := range l.waiting {
		port := l.port(w)
		n, limited := room[port]
		if limited && n <= 0 || len(gone) == releasedAtOnce {
			rest = append(rest, w)
			continue
		}
		if limited {
			room[port] = n - 1
		}
		delete(l.of, w.flow)
		gone = append(gone, w)
		l.letGo.Connections++
		l.letGo.Longest = max(l.letGo.Longest, now.Sub(w.since))
	}
	clear(l.waiting[len(rest):])
	l.waiting = rest
	return gone
}

// ports adds the private ports that l's connections would be led to.
func (l *line) ports(all map[uint16]bool) {
	for _, t := range l.leads {
		all[t.Port] = true
	}
}
