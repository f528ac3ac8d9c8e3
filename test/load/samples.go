package load

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"time"
)

// Samples are requests that were answered as they should be: how long each of
// them took, and when. In JSON a sample takes some five bytes. The zero value
// is empty.
type Samples struct{ kinds map[Kind][]sample }

// sample is a request, in microseconds.
type sample struct {
	end     int64 // since 1970
	latency uint32
}

// Sample is one request.
type Sample struct {
	Kind Kind
	// End is when the last byte of the answer was read, to the microsecond.
	End time.Time
	// Latency is how long the request took, to the microsecond; that of a
	// short connection has the connect in it.
	Latency time.Duration
}

// newSample returns one that ends at end.
func newSample(end time.Time, latency time.Duration) sample {
	return sample{end.UnixMicro(), uint32(min(max(latency.Microseconds(), 0), math.MaxUint32))}
}

// Len returns the number of samples.
func (s Samples) Len() int {
	n := 0
	for _, list := range s.kinds {
		n += len(list)
	}
	return n
}

// All returns the samples, in no order.
func (s Samples) All() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for kind, list := range s.kinds {
			for _, x := range list {
				if !yield(Sample{kind, time.UnixMicro(x.end), time.Duration(x.latency) * time.Microsecond}) {
					return
				}
			}
		}
	}
}

// Add adds a request.
func (s *Samples) Add(x Sample) {
	s.add(x.Kind, []sample{newSample(x.End, x.Latency)})
}

// Merge adds all of o.
func (s *Samples) Merge(o Samples) {
	for kind, list := range o.kinds {
		s.add(kind, list)
	}
}

func (s *Samples) add(kind Kind, list []sample) {
	if len(list) == 0 {
		return
	}
	if s.kinds == nil {
		s.kinds = map[Kind][]sample{}
	}
	s.kinds[kind] = append(s.kinds[kind], list...)
}

// IsZero says whether there are none, so that JSON leaves them out.
func (s Samples) IsZero() bool { return s.Len() == 0 }

// MarshalJSON returns a string of base64: a kind after the other, each with its
// name and the number of its samples, which are sorted by their ends. Of each
// there is the time since the one before (the first: since 1970) and the
// latency. Numbers are unsigned varints, a name has its length first.
func (s Samples) MarshalJSON() ([]byte, error) {
	var b []byte
	for _, kind := range slices.Sorted(maps.Keys(s.kinds)) {
		list := slices.Clone(s.kinds[kind])
		slices.SortFunc(list, func(a, b sample) int {
			return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.latency, b.latency))
		})
		b = binary.AppendUvarint(b, uint64(len(kind)))
		b = append(b, kind...)
		b = binary.AppendUvarint(b, uint64(len(list)))
		var last int64
		for _, x := range list {
			b = binary.AppendUvarint(b, uint64(x.end-last))
			b = binary.AppendUvarint(b, uint64(x.latency))
			last = x.end
		}
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(b))
}

// UnmarshalJSON replaces s by what MarshalJSON returned.
func (s *Samples) UnmarshalJSON(in []byte) error {
	var text string
	if err := json.Unmarshal(in, &text); err != nil {
		return fmt.Errorf("samples: %w", err)
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("samples: %w", err)
	}
	*s = Samples{}
	d := decoder{rest: b}
	for len(d.rest) > 0 && d.err == nil {
		kind := Kind(d.name())
		s.add(kind, d.samples())
	}
	if d.err != nil {
		*s = Samples{}
	}
	return d.err
}

// decoder reads what MarshalJSON wrote; after an error it reads zeroes.
type decoder struct {
	rest []byte
	err  error
}

var errSamples = errors.New("samples: cut off, or a number out of range")

// number returns the next one, of at most limit.
func (d *decoder) number(limit uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.err != nil || n <= 0 || v > limit {
		d.err = errSamples
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) name() string {
	n := d.number(uint64(len(d.rest)))
	if uint64(len(d.rest)) < n {
		d.err = errSamples
	}
	if d.err != nil {
		return ""
	}
	name := string(d.rest[:n])
	d.rest = d.rest[n:]
	return name
}

func (d *decoder) samples() []sample {
	list := make([]sample, d.number(uint64(len(d.rest)/2))) // each has two bytes at least
	var last int64
	for i := range list {
		last += int64(d.number(uint64(math.MaxInt64 - last)))
		list[i] = sample{last, uint32(d.number(math.MaxUint32))}
	}
	if d.err != nil {
		return nil
	}
	return list
}
