package control

import (
	"runtime/debug"
	"sync"
	"time"
)

const (
	// rush is how many connections at once are one, and calm how many are not.
	rush, calm = 64, 16
	// relax is for how long it must be calm after a rush.
	relax = 5 * time.Second
)

// relief gives the memory that a rush of connections has taken back to the host.
// Go's runtime would keep most of it: it collects garbage when the heap has
// doubled, which on an idle daemon it never does, and else every two minutes;
// and what that frees it gives back bit by bit.
type relief struct {
	free func() // debug.FreeOSMemory, but in tests

	mu     sync.Mutex
	rushed bool
	timer  *time.Timer
}

// connected is told each time how many connections there are.
func (r *relief) connected(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case n >= rush:
		r.rushed = true
		if r.timer != nil {
			r.timer.Stop()
			r.timer = nil
		}
	case n < calm && r.rushed && r.timer == nil:
		r.timer = time.AfterFunc(relax, r.relax)
	}
}

func (r *relief) relax() {
	r.mu.Lock()
	due := r.rushed && r.timer != nil
	r.rushed, r.timer = r.rushed && !due, nil
	r.mu.Unlock()
	if due {
		r.free()
	}
}

func newRelief() *relief { return &relief{free: debug.FreeOSMemory} }

// stop forgets a rush.
func (r *relief) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rushed = false
	if r.timer != nil {
		r.timer.Stop()
	}
}
