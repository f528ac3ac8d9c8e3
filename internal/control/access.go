package control

import (
	"os/user"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// Group is the group that may change things, as root may.
const Group = "switcheroo"

// access says who may call a route.
type access uint8

const (
	everyone  access = iota // reads only
	operators               // root and the group
	own                     // they, and the instance that it is about
	itself                  // the instance that it is about, and root
)

// operator reports whether p may change anything.
func operator(p *Peer) bool {
	if p.UID() == 0 {
		return true
	}
	// Looked up each time: it may be made, or given another number, any time.
	g, err := user.LookupGroup(Group)
	if err != nil {
		return false
	}
	gid, err := strconv.ParseUint(g.Gid, 10, 32)
	return err == nil && p.in(uint32(gid))
}

// allow returns nil if c's peer may call a route of that class which is about
// unit.
func (s *Server) allow(c *call, unit string) *api.Error {
	switch {
	case c.route.access == everyone, c.peer.UID() == 0:
		return nil
	case c.route.access != itself && operator(c.peer):
		return nil
	}
	mine, err := c.peer.Unit()
	if err != nil {
		s.Log.Debug("caller not identified", "uid", c.peer.UID(), "error", err)
	}
	if c.route.access >= own && err == nil && mine != "" && mine == unit {
		c.self = true
		return nil
	}
	verb := c.route.verb()
	if n := s.refusals.count(refusal{c.peer.UID(), mine, verb, unit}); n > 0 {
		s.Log.Warn("call refused", "uid", c.peer.UID(), "unit", mine, "verb", verb, "about", unit, "times", n)
	}
	switch c.route.access {
	case itself:
		return api.Errorf(api.Denied, "only %s itself may %s it", unit, verb)
	case own:
		return api.Errorf(api.Denied, "only root, group %s and %s itself may %s it", Group, unit, verb)
	}
	return api.Errorf(api.Denied, "only root and group %s may %s", Group, verb).
		WithHint("use sudo, or become a member with \"adduser USER %s\"", Group)
}

// refusal is a call that was refused.
type refusal struct {
	uid               uint32
	unit, verb, about string
}

const (
	// tellAgain is after how long the same refusal is logged again.
	tellAgain = time.Minute
	// maxRefusals bounds what is remembered.
	maxRefusals = 256
)

// refusals keeps a caller who is refused again and again from filling the log:
// the first is told at once, those of the minute after it as a number.
type refusals struct {
	mu   sync.Mutex
	last map[refusal]*repeated
}

type repeated struct {
	at    time.Time // when it was told
	times int       // since then
}

// count returns how many calls of that kind are to be told now, 0 for none.
func (r *refusals) count(what refusal) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if what.about = strings.ToValidUTF8(what.about, ""); len(what.about) > 64 {
		what.about = what.about[:64]
	}
	now := time.Now()
	seen := r.last[what]
	if seen == nil {
		if len(r.last) >= maxRefusals || r.last == nil {
			r.last = map[refusal]*repeated{}
		}
		r.last[what] = &repeated{at: now}
		return 1
	}
	seen.times++
	if now.Sub(seen.at) < tellAgain {
		return 0
	}
	n := seen.times
	seen.at, seen.times = now, 0
	return n
}
