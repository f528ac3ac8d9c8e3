package judge

import (
	"testing"
	"time"
)

const millisecond = time.Millisecond

func TestMergeAndMeets(t *testing.T) {
	spans := merge([]span{{100, 200}, {10, 20}, {150, 300}, {20, 30}})
	if len(spans) != 2 || spans[0] != (span{10, 30}) || spans[1] != (span{100, 300}) {
		t.Fatalf("merged: %v", spans)
	}
	for _, c := range []struct {
		span
		want bool
	}{
		{span{0, 9}, false}, {span{0, 10}, true}, {span{15, 16}, true}, {span{31, 99}, false}, {span{31, 100}, true},
		{span{300, 400}, true}, {span{301, 400}, false}, {span{0, 1000}, true},
	} {
		if got := meets(spans, c.span); got != c.want {
			t.Errorf("%v meets %v: %v", c.span, spans, got)
		}
	}
}

func TestClosest(t *testing.T) {
	sorted := []time.Duration{10, 20, 40}
	for at, want := range map[time.Duration]time.Duration{0: 10, 10: 10, 14: 10, 16: 20, 29: 20, 31: 40, 99: 40} {
		if got := closest(sorted, at); got != want {
			t.Errorf("closest to %d: %d, want %d", at, got, want)
		}
	}
}

func TestPercentiles(t *testing.T) {
	var took []time.Duration
	for i := 200; i >= 1; i-- {
		took = append(took, time.Duration(i)*millisecond)
	}
	if got, want := percentiles(took), (Percentiles{N: 200, P50: 100 * millisecond, P99: 198 * millisecond, Max: 200 * millisecond}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := percentiles([]time.Duration{7}); got.P50 != 7 || got.P99 != 7 {
		t.Errorf("of one: %+v", got)
	}
}

func TestRatio(t *testing.T) {
	l := Latency{Around: Percentiles{N: 1, P99: 3 * millisecond}, Quiet: Percentiles{N: 1, P99: 2 * millisecond}}
	if l.Ratio() != 1.5 {
		t.Errorf("%v", l.Ratio())
	}
	if (Latency{}).Ratio() != 0 {
		t.Error("without samples there is no ratio")
	}
}
