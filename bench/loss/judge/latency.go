package judge

import (
	"slices"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// The distances that latency is judged by.
const (
	// Window is "the 100 ms around a switch": half of it before the moment the
	// traffic moved, half of it after.
	Window = 100 * time.Millisecond
	// Calm is how far from any switch, and from the end of its old version, a
	// request is quiet.
	Calm = 200 * time.Millisecond
	// Reach and Step are those of the curve.
	Reach = 500 * time.Millisecond
	Step  = 20 * time.Millisecond
)

// Latency compares requests under way around a switch with those of quiet
// times. All is zero without samples.
type Latency struct {
	Around Percentiles `json:"around"`
	Quiet  Percentiles `json:"quiet"`
	// After is of those from then on until the old version was gone, where that
	// was waited for.
	After Percentiles `json:"after,omitzero"`
	// Curve is the 99th percentile of requests by when they began, one value a
	// Step from -Reach to +Reach of a move; 0 where there was none.
	Curve []time.Duration `json:"curve_ns,omitempty"`
}

// Percentiles are of N requests.
type Percentiles struct {
	N   int           `json:"n"`
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

// Ratio returns how many times longer the 99th percentile is around a switch
// than in quiet times; 0 if one of them is unknown.
func (l Latency) Ratio() float64 {
	if l.Around.N == 0 || l.Quiet.P99 == 0 {
		return 0
	}
	return float64(l.Around.P99) / float64(l.Quiet.P99)
}

// latency sorts the samples by what was going on meanwhile, with any service:
// a switch of one may slow another down.
func latency(result *load.Result, switches []Switch) Latency {
	if result.Samples.Len() == 0 || len(switches) == 0 {
		return Latency{}
	}
	start := time.Unix(0, result.Start)
	var moves []time.Duration
	var near, after, busy []span
	for _, s := range switches {
		began, moved := s.Began.Sub(start), s.Moved.Sub(start)
		moves = append(moves, moved)
		near = append(near, span{moved - Window/2, moved + Window/2})
		over := moved
		if !s.Over.IsZero() {
			over = s.Over.Sub(start)
			after = append(after, span{moved + Window/2, over})
		}
		busy = append(busy, span{began - Calm, over + Calm})
	}
	slices.Sort(moves)
	near, after, busy = merge(near), merge(after), merge(busy)
	var around, later, quiet []time.Duration
	steps := make([][]time.Duration, 2*Reach/Step)
	for s := range result.Samples.All() {
		if s.Kind == load.Stream {
			continue // it lasts as long as it was asked to
		}
		end := s.End.Sub(start)
		request := span{end - s.Latency, end}
		if meets(near, request) {
			around = append(around, s.Latency)
		}
		if meets(after, request) {
			later = append(later, s.Latency)
		}
		if !meets(busy, request) {
			quiet = append(quiet, s.Latency)
		}
		if d := request.from - closest(moves, request.from); d >= -Reach && d < Reach {
			n := (d + Reach) / Step
			steps[n] = append(steps[n], s.Latency)
		}
	}
	l := Latency{Around: percentiles(around), After: percentiles(later), Quiet: percentiles(quiet)}
	for _, took := range steps {
		l.Curve = append(l.Curve, percentiles(took).P99)
	}
	return l
}

// span is a stretch of time since the start of the load.
type span struct{ from, to time.Duration }

// merge returns spans that do not overlap, by time.
func merge(all []span) []span {
	slices.SortFunc(all, func(a, b span) int { return int(min(max(a.from-b.from, -1), 1)) })
	var merged []span
	for _, s := range all {
		if n := len(merged); n > 0 && s.from <= merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// meets reports whether s overlaps one of spans, which merge made.
func meets(spans []span, s span) bool {
	i, _ := slices.BinarySearchFunc(spans, s.from, func(o span, t time.Duration) int {
		if o.to < t {
			return -1
		}
		return 1
	})
	return i < len(spans) && spans[i].from <= s.to
}

// closest returns the value of sorted that is closest to t; there is one.
func closest(sorted []time.Duration, t time.Duration) time.Duration {
	i, _ := slices.BinarySearch(sorted, t)
	switch {
	case i == 0:
		return sorted[0]
	case i == len(sorted), t-sorted[i-1] <= sorted[i]-t:
		return sorted[i-1]
	}
	return sorted[i]
}

// percentiles sorts took.
func percentiles(took []time.Duration) Percentiles {
	if len(took) == 0 {
		return Percentiles{}
	}
	slices.Sort(took)
	return Percentiles{N: len(took), P50: quantile(took, 50), P99: quantile(took, 99), Max: took[len(took)-1]}
}

// quantile returns the smallest value of sorted that is not below percent of
// them.
func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[max((percent*len(sorted)+99)/100, 1)-1]
}
