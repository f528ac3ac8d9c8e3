package drain

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// look is one way of looking at the kernel, shared by all who wait for what it
// may show: who needs a reading first takes it, for the ports of all.
type look[T any] struct {
	read func(ctx context.Context, ports []uint16) (map[uint16]T, error)

	mu      sync.Mutex
	watched map[uint16]int // how many wait for a port
	last    *reading[T]    // under way or taken; nil before the first
}

// reading is what one look showed.
type reading[T any] struct {
	begun time.Time
	ports []uint16 // sorted
	done  chan struct{}

	// Valid once done is closed.
	found map[uint16]T // ports with nothing may be absent
	took  time.Duration
	err   error
}

// watch has the ports included in every reading until the returned function is
// called.
func (l *look[T]) watch(ports []uint16) (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watched == nil {
		l.watched = make(map[uint16]int)
	}
	for _, port := range ports {
		l.watched[port]++
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, port := range ports {
			if l.watched[port]--; l.watched[port] == 0 {
				delete(l.watched, port)
			}
		}
	}
}

// at returns a reading of the ports that was begun at since or later. When ctx
// ends, the error is ctx's.
func (l *look[T]) at(ctx context.Context, since time.Time, ports []uint16) (*reading[T], error) {
	for {
		r, mine := l.join(since, ports)
		if mine {
			r.found, r.err = l.read(ctx, r.ports)
			r.took = time.Since(r.begun)
			close(r.done)
		}
		select {
		case <-r.done:
		case <-ctx.Done():
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !mine && (r.begun.Before(since) || !r.covers(ports) || isContextError(r.err)):
			// Too early, of others only, or its reader was called off.
		case r.err != nil:
			return nil, r.err
		default:
			return r, nil
		}
	}
}

// join returns the reading that is under way or recent enough, or a new one
// that the caller takes.
func (l *look[T]) join(since time.Time, ports []uint16) (r *reading[T], mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.last; r != nil {
		select {
		case <-r.done:
			if r.err == nil && !r.begun.Before(since) && r.covers(ports) {
				return r, false
			}
		default:
			return r, false
		}
	}
	all := slices.AppendSeq(slices.Clone(ports), maps.Keys(l.watched))
	slices.Sort(all)
	l.last = &reading[T]{begun: time.Now(), ports: slices.Compact(all), done: make(chan struct{})}
	return l.last, true
}

func (r *reading[T]) covers(ports []uint16) bool {
	for _, port := range ports {
		if _, ok := slices.BinarySearch(r.ports, port); !ok {
			return false
		}
	}
	return true
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
