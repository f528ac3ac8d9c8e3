package controller

import (
	"sync"
	"time"
)

const (
	// feedLen is how many News are kept for who comes late: a busy day's.
	feedLen = 1024
	// feedBatch is how many are handed out at once.
	feedBatch = 128
)

// Feed keeps the latest News. Its writer never waits for a reader: who reads
// too slowly misses what is not kept any more, and is told so.
type Feed struct {
	mu   sync.Mutex
	last uint64
	ring [feedLen]*News
	more chan struct{} // closed with the next one
}

// NewFeed returns an empty Feed. Its IDs begin with the time in microseconds,
// so that they are greater than those of an earlier daemon.
func NewFeed(now time.Time) *Feed {
	return &Feed{last: uint64(now.UnixMicro()), more: make(chan struct{})}
}

// Add gives n its place, and wakes who waits for it.
func (f *Feed) Add(n News) News {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	n.ID, n.Time = f.last, time.Now()
	f.ring[n.ID%feedLen] = &n
	close(f.more)
	f.more = make(chan struct{})
	return n
}

// Last returns the ID of the latest.
func (f *Feed) Last() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// Since returns News after the one with that ID, the oldest first, but not all
// of them at once if they are many; missed reports that some are not kept any
// more. The channel is closed when there is more than what was returned.
func (f *Feed) Since(id uint64) (news []News, missed bool, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := f.first()
	switch {
	case id > f.last: // of another daemon's, with its clock ahead
		id, missed = first-1, true
	case id+1 < first:
		id, missed = first-1, true
	}
	for next := id + 1; next <= f.last && len(news) < feedBatch; next++ {
		news = append(news, *f.ring[next%feedLen])
	}
	if len(news) > 0 && news[len(news)-1].ID < f.last {
		return news, missed, closed
	}
	return news, missed, f.more
}

// first returns the ID of the oldest one kept, or the next one's.
func (f *Feed) first() uint64 {
	for id := f.last; f.last-id < feedLen; id-- {
		if n := f.ring[id%feedLen]; n == nil || n.ID != id {
			return id + 1
		}
	}
	return f.last - feedLen + 1
}

// All returns all that are kept, the oldest first.
func (f *Feed) All() []News {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []News
	for id := f.first(); id <= f.last; id++ {
		all = append(all, *f.ring[id%feedLen])
	}
	return all
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
