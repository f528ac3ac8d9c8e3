package load

import (
	"encoding/json"
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"
)

// Histogram counts durations, to within an eighth of each. The zero value is
// empty.
type Histogram struct {
	max     time.Duration
	buckets map[int]int64
}

// Microseconds below 8 have a bucket each; above, each power of two has 8.
func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 8 {
		return int(us)
	}
	n := bits.Len64(us) - 4 // us>>n is 8 to 15
	return 8*n + int(us>>n)
}

// upper returns the longest duration of bucket b.
func upper(b int) time.Duration {
	if b < 16 {
		return time.Duration(b+1)*time.Microsecond - 1
	}
	n := b/8 - 1
	if n > 45 {
		return math.MaxInt64
	}
	return time.Duration(b%8+8+1)<<n*time.Microsecond - 1
}

// Add counts d.
func (h *Histogram) Add(d time.Duration) {
	if h.buckets == nil {
		h.buckets = map[int]int64{}
	}
	h.buckets[bucket(d)]++
	h.max = max(h.max, d)
}

// Merge counts all of o.
func (h *Histogram) Merge(o Histogram) {
	if h.buckets == nil {
		h.buckets = map[int]int64{}
	}
	for b, n := range o.buckets {
		h.buckets[b] += n
	}
	h.max = max(h.max, o.max)
}

// Max returns the longest duration, exactly.
func (h Histogram) Max() time.Duration { return h.max }

// Quantile returns a duration that is not shorter than the share q of all, and
// at most an eighth too long.
func (h Histogram) Quantile(q float64) time.Duration {
	var total, seen int64
	for _, n := range h.buckets {
		total += n
	}
	for _, b := range slices.Sorted(maps.Keys(h.buckets)) {
		if seen += h.buckets[b]; float64(seen) >= q*float64(total) {
			return min(upper(b), h.max)
		}
	}
	return h.max
}

type histogramJSON struct {
	Max     time.Duration `json:"max_ns"`
	Buckets map[int]int64 `json:"buckets,omitempty"`
}

func (h Histogram) MarshalJSON() ([]byte, error) {
	return json.Marshal(histogramJSON{h.max, h.buckets})
}

func (h *Histogram) UnmarshalJSON(b []byte) error {
	var j histogramJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	h.max, h.buckets = j.Max, j.Buckets
	return nil
}
