package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/test/load"
)

// The life of v4 in these tests: it has the port from 10 s on, dies at 12 s at
// the earliest, and the port leads elsewhere from 12.5 s on.
var life = trial{Version: "v4", From: at(10), Dies: at(12), Back: at(12.5)}

func at(seconds float64) time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

// failed is a failure that was seen, of a connection that began.
func failed(class load.Class, version string, began, seen time.Time) load.Failure {
	return load.Failure{Class: class, Version: version, Began: began.UnixNano(), Time: seen.UnixNano(), Kind: load.Short}
}

func TestOwns(t *testing.T) {
	const ns = time.Nanosecond
	for _, test := range []struct {
		name string
		f    load.Failure
		want bool
	}{
		{"refused in the window", failed(load.Refused, "", at(12.1), at(12.1)), true},
		{"reset before an answer, in the window", failed(load.ResetBefore, "", at(12.1), at(12.2)), true},
		{"ended before an answer, in the window", failed(load.EarlyEnd, "", at(12.1), at(12.2)), true},
		{"accepted by v4, never answered", failed(load.ResetBefore, "", at(11), at(12.01)), true},
		{"answered by v4, reset at its death", failed(load.ResetBefore, "v4", at(11), at(12.01)), true},
		{"answered by v4, cut off in an answer", failed(load.ResetAfter, "v4", at(11), at(12.01)), true},
		{"answered by v4, ended", failed(load.EarlyEnd, "v4", at(11), at(12.01)), true},
		{"answered by v4, noticed after the switch back", failed(load.EarlyEnd, "v4", at(11), at(14)), true},

		{"refused as it dies", failed(load.Refused, "", at(12), at(12)), true},
		{"refused just before it dies", failed(load.Refused, "", at(12).Add(-ns), at(12).Add(-ns)), false},
		{"begun just before it dies, refused then", failed(load.Refused, "", at(12).Add(-ns), at(12)), true},
		{"begun just before the switch back", failed(load.Refused, "", at(12.5).Add(-ns), at(12.6)), true},
		{"begun at the switch back", failed(load.Refused, "", at(12.5), at(12.6)), false},
		{"begun at the switch to v4", failed(load.ResetBefore, "", at(10), at(12.1)), true},
		{"begun just before the switch to v4", failed(load.ResetBefore, "", at(10).Add(-ns), at(12.1)), false},

		{"answered by v4, reset while it lived", failed(load.ResetBefore, "v4", at(11), at(12).Add(-ns)), false},
		{"answered by v2, reset in the window", failed(load.ResetBefore, "v2", at(11), at(12.1)), false},
		{"refused long after", failed(load.Refused, "", at(20), at(20)), false},
		{"refused long before", failed(load.Refused, "", at(5), at(5)), false},
		{"timed out in the window", failed(load.TimedOut, "", at(12.1), at(12.2)), false},
		{"SYN sent again in the window", failed(load.Retransmitted, "", at(12.1), at(12.2)), false},
		{"wrong bytes from v4", failed(load.WrongBytes, "v4", at(11), at(12.1)), false},
		{"unreachable in the window", failed(load.Unreachable, "", at(12.1), at(12.1)), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := life.owns(test.f); got != test.want {
				t.Errorf("owns is %v, want %v", got, test.want)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	r := &load.Result{
		Kinds: map[load.Kind]*load.Counters{
			// Two of the three refused are told of, one of them v4's.
			load.Short:     {Failures: map[load.Class]int64{load.Refused: 3}},
			load.KeepAlive: {Failures: map[load.Class]int64{load.EarlyEnd: 1, load.Retransmitted: 1}},
		},
		Failures: []load.Failure{
			failed(load.Refused, "", at(12.1), at(12.1)),
			failed(load.Refused, "", at(13), at(13)),
			{Kind: load.KeepAlive, Class: load.EarlyEnd, Version: "v4", Began: at(11).UnixNano(), Time: at(12.1).UnixNano()},
			{Kind: load.KeepAlive, Class: load.Retransmitted, Began: at(3).UnixNano(), Time: at(4).UnixNano()},
		},
		LeftOut: 1,
	}
	got := judge(r, life)
	want := verdict{
		Lost: tally{
			load.Short:     {load.Refused: 2},
			load.KeepAlive: {load.Retransmitted: 1},
		},
		Own: tally{
			load.Short:     {load.Refused: 1},
			load.KeepAlive: {load.EarlyEnd: 1},
		},
		Details: []load.Failure{r.Failures[1], r.Failures[3]},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdict (-want +got):\n%s", diff)
	}
	if got := got.Lost.total(""); got != 3 {
		t.Errorf("%d lost, want 3", got)
	}
	if got := got.Lost.total(load.Short); got != 2 {
		t.Errorf("%d short ones lost, want 2", got)
	}
}
