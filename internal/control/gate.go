package control

import "sync"

// gate bounds how much is under way at once, for each user and in all. Root has
// a share of its own, so that others cannot keep it out.
type gate struct {
	each, all int

	mu    sync.Mutex
	users map[uint32]int
	total int // of those that are not root
}

func newGate(each, all int) *gate { return &gate{each: each, all: all, users: map[uint32]int{}} }

// enter reports whether uid may go on; then it has to leave.
func (g *gate) enter(uid uint32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	limit := g.each
	if uid == 0 {
		limit = g.all
	} else if g.total >= g.all {
		return false
	}
	if g.users[uid] >= limit {
		return false
	}
	g.users[uid]++
	if uid != 0 {
		g.total++
	}
	return true
}

func (g *gate) leave(uid uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if uid != 0 {
		g.total--
	}
	if g.users[uid]--; g.users[uid] == 0 {
		delete(g.users, uid)
	}
}

// busy returns how many are inside.
func (g *gate) busy() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, of := range g.users {
		n += of
	}
	return n
}
