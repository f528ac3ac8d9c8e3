package hold

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

const (
	// releasedAtOnce bounds a step, so that a burst does not overrun the
	// queues on the way.
	releasedAtOnce = 256
	// Between two looks at a server that has no room, a quarter of the time that
	// it had none passes, within these bounds: that it has some again is
	// noticed at most so much later. While it has, there is no pause.
	leastPause = 100 * time.Microsecond
	mostPause  = 20 * time.Millisecond
	// lookTimeout bounds a look.
	lookTimeout = 2 * time.Second
)

// ErrNotHeld says that a service is not paused.
var ErrNotHeld = errors.New("not held")

// Release lets the connections of a service go, as fast as its server has room
// for them, and returns once none waits. Those that come meanwhile queue up
// behind, and go as well, until rules that do not hold them any more are in
// force (see [Holder.Settle]). When ctx ends first, they are held again, and Left
// says how many.
func (h *Holder) Release(ctx context.Context, service string) (Released, error) {
	began := time.Now()
	h.mu.Lock()
	l := h.lines[service]
	if l == nil {
		h.mu.Unlock()
		return Released{}, ErrNotHeld
	}
	l.releasing = true
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	empty := l.empty
	h.mu.Unlock()
	h.nudge()

	var err error
	select {
	case <-empty:
	case <-ctx.Done():
		err = ctx.Err()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	done := l.letGo
	done.Took = time.Since(began)
	if err != nil {
		l.releasing = false
		done.Left = len(l.waiting) // else those are newer ones, which go as well
	}
	return done, err
}

// pace lets go what is to be released, until ctx ends.
func (h *Holder) pace(ctx context.Context) {
	p := pacer{Holder: h}
	last := time.Now() // when something was let go
	for ctx.Err() == nil {
		due, released := p.step(ctx)
		switch {
		case !due:
			select {
			case <-h.wake:
			case <-ctx.Done():
			}
			last = time.Now()
		case released > 0:
			last = time.Now()
		default:
			select {
			case <-time.After(min(max(time.Since(last)/4, leastPause), mostPause)):
			case <-ctx.Done():
			}
		}
	}
}

// pacer knows what it has let go.
type pacer struct {
	*Holder
	flights []flight
}

// step lets go as many as there is room for. due reports whether there was
// anything to let go.
func (p *pacer) step(ctx context.Context) (due bool, released int) {
	ports, due := p.due()
	if !due {
		return false, 0
	}
	limited, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	free, err := p.room(limited, ports)
	if ctx.Err() != nil {
		return true, 0
	}
	if err != nil {
		p.log.Warn("listeners not read: held connections go on one at a time", "error", err)
		free = map[uint16]int{}
		for _, port := range ports {
			free[port] = 1
		}
	}
	return true, p.letGo(free)
}

// room returns how many could be let go to each port. Which of those under way
// have arrived is only asked where it matters, and before the listeners are: one
// that arrives in between counts twice, not never.
func (p *pacer) room(ctx context.Context, ports []uint16) (map[uint16]int, error) {
	now := time.Now()
	p.flights = slices.DeleteFunc(p.flights, func(f flight) bool { return now.Sub(f.left) > lost })
	free, full, err := p.free(ctx, ports)
	if err != nil || !full {
		return free, err
	}
	if p.flights, err = landed(ctx, p.flights, now); err != nil {
		return nil, err
	}
	free, _, err = p.free(ctx, ports)
	return free, err
}

// free returns what is left of the listeners' room if all under way are still
// on their way, and whether that might be too little because they are not.
func (p *pacer) free(ctx context.Context, ports []uint16) (free map[uint16]int, full bool, err error) {
	if free, err = room(ctx, ports...); err != nil {
		return nil, false, err
	}
	for _, f := range p.flights {
		if n, limited := free[f.port]; limited {
			free[f.port] = n - 1
			full = full || n <= 1
		}
	}
	return free, full, nil
}

// due returns the private ports of what is to be released, and whether there is
// anything.
func (p *pacer) due() (ports []uint16, due bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[uint16]bool{}
	for _, l := range p.lines {
		switch {
		case !l.releasing:
		case len(l.waiting) == 0:
			l.told()
		default:
			due = true
			l.ports(all)
		}
	}
	return slices.Collect(maps.Keys(all)), due
}

// letGo lets go what has room, and returns how many.
func (p *pacer) letGo(free map[uint16]int) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, name := range p.services() {
		l := p.lines[name]
		if !l.releasing {
			continue
		}
		gone := l.leave(free, now)
		ids := make([]uint32, len(gone))
		for i, w := range gone {
			ids[i] = w.id
			if port := l.port(w); port != 0 {
				p.flights = append(p.flights, flight{w.flow, port, now})
			}
		}
		p.judge(accept, ids...)
		n += len(gone)
	}
	return n
}
