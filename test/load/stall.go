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

// note says for people that the clients stood still, if they did for long
// enough to be of interest.
func (r *Result) note() string {
	const interesting = time.Second
	if r.Still() < interesting {
		return ""
	}
	return fmt.Sprintf("; the clients themselves stood still for up to %v", r.Still().Round(time.Millisecond))
}
