package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/switcheroo/switcheroo/test/pulse"
)

// Stall is a time in which the clients' process stood still, ns since 1970.
type Stall struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// shortestStall is what is noticed: a quarter of what makes a connect slow.
const shortestStall = 50 * time.Millisecond

// stalls collects them while a run is under way.
type stalls struct {
	mu   sync.Mutex
	seen []Stall
}

// watch returns when ctx ends.
func (s *stalls) watch(ctx context.Context) {
	pulse.Watch(ctx, shortestStall, func(d time.Duration) {
		now := time.Now()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.seen) < maxDetails {
			s.seen = append(s.seen, Stall{now.Add(-d).UnixNano(), now.UnixNano()})
		}
	})
}

func (s *stalls) all() []Stall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// mergeStalls returns the stalls of two processes, by time.
func mergeStalls(a, b []Stall) []Stall {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b Stall) int { return int(min(max(a.From-b.From, -1), 1)) })
	return all
}

// Still returns how long the clients stood still at most.
func (r *Result) Still() time.Duration {
	var longest int64
	for _, s := range r.Stalls {
		longest = max(longest, s.To-s.From)
	}
	return time.Duration(longest)
}

// stalled returns for how long of the time from from to to the process stood
// still.
func stalled(all []Stall, from, to int64) time.Duration {
	var sum int64
	for _, s := range all {
		sum += max(min(s.To, to)-max(s.From, from), 0)
	}
	return time.Duration(sum)
}

// excuse takes the slow connects that were quick enough but for the time in
// which this process stood still out of the failures, and counts them as
// Stalled. A client learns that it is connected when it runs again, not when
// it is.
func (r *Result) excuse(slow time.Duration) {
	r.Failures = slices.DeleteFunc(r.Failures, func(f Failure) bool {
		if f.Class != SlowConnect {
			return false
		}
		took := time.Duration(f.Connected - f.Began)
		still := stalled(r.Stalls, f.Began, f.Connected)
		if took-still > slow {
			return false
		}
		c := r.Kinds[f.Kind]
		c.Failures[SlowConnect]--
		c.Stalled++
		return true
	})
}

// note says for people that the clients stood still, if they did for long
// enough to be of interest.
func (r *Result) note() string {
	const interesting = time.Second
	if r.Still() < interesting {
		return ""
	}
	return fmt.Sprintf("; the clients themselves stood still for up to %v", r.Still().Round(time.Millisecond))
}
