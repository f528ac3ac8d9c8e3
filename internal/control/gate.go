package control

import "sync"

// caller is who shares a limit: an instance, or else a user. Instances of one
// template may share a user, and all of them start at the same time when a host
// does.
type caller struct {
	uid  uint32
	unit string // of one who runs in a system service, and is not root
}

func (c caller) root() bool { return c.uid == 0 }

// gate bounds how much is under way at once, for each caller and in all. Root
// and instances have shares of their own, so that others cannot keep them out.
type gate struct {
	each, all int // all: of those that are neither root nor instances

	mu        sync.Mutex
	callers   map[caller]int
	users     int // of callers that are neither
	instances int
}

// Of one instance, and of all instances together.
const eachInstance, allInstances = 8, 1024

func newGate(each, all int) *gate { return &gate{each: each, all: all, callers: map[caller]int{}} }

// enter reports whether c may go on; then it has to leave.
func (g *gate) enter(c caller) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	here := g.callers[c]
	switch {
	case c.root():
		if here >= g.all {
			return false
		}
	case c.unit != "":
		if here >= min(eachInstance, g.each) || g.instances >= allInstances {
			return false
		}
		g.instances++
	default:
		if here >= g.each || g.users >= g.all {
			return false
		}
		g.users++
	}
	g.callers[c]++
	return true
}

func (g *gate) leave(c caller) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case c.root():
	case c.unit != "":
		g.instances--
	default:
		g.users--
	}
	if g.callers[c]--; g.callers[c] == 0 {
		delete(g.callers, c)
	}
}

// busy returns how many are inside.
func (g *gate) busy() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, of := range g.callers {
		n += of
	}
	return n
}
