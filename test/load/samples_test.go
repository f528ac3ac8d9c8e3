package load

import (
	"cmp"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// at is a moment of the samples of these tests.
func at(ms int) time.Time { return time.UnixMilli(1_700_000_000_000 + int64(ms)) }

func TestSamplesAdd(t *testing.T) {
	var s Samples
	want := []Sample{{Short, at(10), 5 * time.Millisecond}, {Short, at(30), time.Millisecond}, {Echo, at(100), 90 * time.Millisecond}}
	for _, x := range want {
		s.Add(x)
	}
	if diff := gocmp.Diff(want, sorted(s)); diff != "" || s.Len() != len(want) {
		t.Errorf("%d samples: %s", s.Len(), diff)
	}
}

// sorted returns all samples of s in an order.
func sorted(s Samples) []Sample {
	return slices.SortedFunc(s.All(), func(a, b Sample) int {
		return cmp.Or(a.End.Compare(b.End), cmp.Compare(a.Latency, b.Latency), cmp.Compare(a.Kind, b.Kind))
	})
}

// Two runs, each of several clients, that began at different times.
func TestSamplesJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var sum Samples
	want := 0
	for run := range 2 {
		var s Samples
		for _, kind := range Kinds {
			var list []sample
			for range 10_000 {
				list = append(list, newSample(at(run*60_000+rng.IntN(60_000)), time.Duration(rng.ExpFloat64()*float64(time.Millisecond))))
			}
			s.add(kind, list)
			want += len(list)
		}
		sum.Merge(s)
	}
	sum.add(Short, []sample{newSample(at(0), -1), newSample(at(0), 2*time.Hour), newSample(time.UnixMicro(0), math.MaxInt64)})
	want += 3
	b, err := json.Marshal(sum)
	if err != nil {
		t.Fatal(err)
	}
	if limit := 8 * want; len(b) > limit {
		t.Errorf("%d samples take %d bytes", want, len(b))
	}
	var got Samples
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(sorted(sum), sorted(got)); diff != "" || got.Len() != want {
		t.Errorf("%d of %d came back: %.2000s", got.Len(), want, diff)
	}
	if b, err := json.Marshal(Result{}); err != nil || string(b) != `{"start":0,"end":0,"kinds":null}` {
		t.Errorf("no samples: %s, %v", b, err)
	}
}

func FuzzSamples(f *testing.F) {
	var s Samples
	s.add(Short, []sample{newSample(at(1), 2*time.Millisecond), newSample(at(3), 4*time.Millisecond)})
	s.add(Stream, []sample{newSample(at(1), time.Hour)})
	good, err := json.Marshal(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-6])
	f.Add([]byte(`""`))
	f.Add([]byte(`"BWVjaG8="`))
	f.Add([]byte(`"/////////////wE="`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var s Samples
		if err := json.Unmarshal(in, &s); err != nil {
			if s.Len() > 0 {
				t.Errorf("after %v there are %d samples", err, s.Len())
			}
			return
		}
		out, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var again Samples
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if diff := gocmp.Diff(sorted(s), sorted(again)); diff != "" {
			t.Error(diff)
		}
	})
}

// A run of minutes has some 300,000.
func BenchmarkSamplesJSON(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var s Samples
	for range 300_000 {
		kind := Kinds[rng.IntN(len(Kinds))]
		s.add(kind, []sample{newSample(at(rng.IntN(300_000)), time.Millisecond)})
	}
	for b.Loop() {
		out, err := json.Marshal(s)
		if err != nil {
			b.Fatal(err)
		}
		if err := json.Unmarshal(out, new(Samples)); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(out)))
	}
}
