package judge

import (
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// A switch begins at 1 s and moves the traffic at 1.05 s, another service's at
// 3 s; requests are every 10 ms and take 1 ms, but for those around a move.
func TestLatency(t *testing.T) {
	switches := []Switch{switchAt(8081, 1, time.Second), switchAt(8082, 1, 3*time.Second)}
	switches[1].Over = at(4 * time.Second)
	result := &load.Result{Start: epoch.UnixNano()}
	request := func(kind load.Kind, began, took time.Duration) {
		result.Samples.Add(load.Sample{Kind: kind, End: at(began + took), Latency: took})
	}
	for began := time.Duration(0); began < 5*time.Second; began += 10 * millisecond {
		request(load.Short, began, millisecond)
	}
	request(load.Echo, 1060*millisecond, 40*millisecond)       // around the first move
	request(load.Short, 900*millisecond, 140*millisecond)      // ends around it
	request(load.Short, 1110*millisecond, 70*millisecond)      // after it, and not quiet yet
	request(load.KeepAlive, 2000*millisecond, 20*millisecond)  // quiet
	request(load.Stream, 500*millisecond, 2000*millisecond)    // takes what it was asked to
	request(load.KeepAlive, 2700*millisecond, 200*millisecond) // runs into the time before a switch
	request(load.Echo, 4150*millisecond, 30*millisecond)       // right after its old version's end
	l := latency(result, switches)
	if l.Around.Max != 140*millisecond || l.Around.N != 2*10+2+2 {
		t.Errorf("around: %+v", l.Around)
	}
	if l.Quiet.Max != 20*millisecond || l.Quiet.P50 != millisecond {
		t.Errorf("quiet: %+v", l.Quiet)
	}
	// From 3.1 s to 4 s, as the other's end is not known.
	if l.After.N != 91 || l.After.Max != millisecond {
		t.Errorf("after: %+v", l.After)
	}
	// The curve goes by when a request began: -150 ms, +10 ms, +60 ms.
	for after, want := range map[time.Duration]time.Duration{-150 * millisecond: 140 * millisecond, 10 * millisecond: 40 * millisecond,
		60 * millisecond: 70 * millisecond, 400 * millisecond: millisecond} {
		if got := l.Curve[(after+Reach)/Step]; got != want {
			t.Errorf("the curve is %v at %v, want %v", got, after, want)
		}
	}
	if len(l.Curve) != int(2*Reach/Step) {
		t.Errorf("%d steps", len(l.Curve))
	}
	if empty := latency(&load.Result{}, switches); empty.Around.N != 0 || empty.Curve != nil {
		t.Errorf("without samples: %+v", empty)
	}
}

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
