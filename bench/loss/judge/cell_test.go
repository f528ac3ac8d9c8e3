package judge

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/test/load"
)

var epoch = time.Unix(1_700_000_000, 0)

func at(d time.Duration) time.Time { return epoch.Add(d) }

// switchAt is a switch that takes 50 ms.
func switchAt(port uint16, version int, began time.Duration) Switch {
	return Switch{Service: fmt.Sprintf("s%d", port-8080), Port: port, Version: version, Began: at(began), Moved: at(began + 50*time.Millisecond)}
}

func failure(port uint16, class load.Class, seen time.Duration) load.Failure {
	return load.Failure{Time: at(seen).UnixNano(), Class: class, Kind: load.Short, Remote: fmt.Sprintf("10.9.0.1:%d", port)}
}

func answered(version string, f load.Failure) load.Failure {
	f.Version = version
	return f
}

func TestAttribute(t *testing.T) {
	lines := Timelines([]Switch{switchAt(8081, 2, 2*time.Second), switchAt(8082, 1, 3*time.Second), switchAt(8081, 1, time.Second)})
	tests := map[string]struct {
		failure load.Failure
		service string
		version int
		after   time.Duration
	}{
		"before the first":         {failure(8081, load.Refused, 900*time.Millisecond), "s1", 0, 0},
		"as it begins":             {failure(8081, load.Refused, time.Second), "s1", 1, 0},
		"between two":              {failure(8081, load.Refused, 1700*time.Millisecond), "s1", 1, 700 * time.Millisecond},
		"after the last":           {failure(8081, load.Refused, 12*time.Second), "s1", 2, 10 * time.Second},
		"of a version that drains": {answered("v0", failure(8081, load.ResetAfter, 2500*time.Millisecond)), "s1", 1, 1500 * time.Millisecond},
		"of the version there is":  {answered("v1", failure(8081, load.ResetAfter, 1700*time.Millisecond)), "s1", 1, 700 * time.Millisecond},
		"of the last version":      {answered("v2", failure(8081, load.ResetAfter, 2500*time.Millisecond)), "s1", 2, 500 * time.Millisecond},
		"a connect that timed out": {load.Failure{Began: at(1500 * time.Millisecond).UnixNano(), Time: at(11500 * time.Millisecond).UnixNano(),
			Class: load.TimedOut, Phase: load.Connect, Remote: "10.9.0.1:8081"}, "s1", 1, 10500 * time.Millisecond},
		"of another service":        {failure(8082, load.Refused, 3500*time.Millisecond), "s2", 1, 500 * time.Millisecond},
		"of a service not switched": {failure(8083, load.Refused, 3500*time.Millisecond), "", 0, 0},
		"by IPv6": {load.Failure{Time: at(1100 * time.Millisecond).UnixNano(), Remote: "[fd00:9::1]:8081"},
			"s1", 1, 100 * time.Millisecond},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Attribute(tt.failure, lines)
			want := Loss{Failure: tt.failure, Service: tt.service, Switch: tt.version, After: tt.after}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNew(t *testing.T) {
	switches := []Switch{switchAt(8081, 1, time.Second), switchAt(8081, 2, 2*time.Second), switchAt(8081, 3, 3*time.Second), switchAt(8082, 1, time.Second)}
	switches[2].Moved = at(3*time.Second + 90*time.Millisecond)
	result := &load.Result{
		Start: epoch.UnixNano(), End: at(5 * time.Second).UnixNano(),
		Kinds: map[load.Kind]*load.Counters{load.Short: {
			Connections: 100, Requests: 92,
			Failures: map[load.Class]int64{load.Refused: 5, load.Retransmitted: 2, load.ResetBefore: 1, load.ClientError: 1},
		}},
		Failures: []load.Failure{
			failure(8081, load.Refused, 500*time.Millisecond), // before any switch
			failure(8081, load.Refused, 1100*time.Millisecond),
			failure(8081, load.Refused, 1200*time.Millisecond),
			failure(8081, load.ResetBefore, 3100*time.Millisecond),
			failure(8081, load.ClientError, 3100*time.Millisecond),
			failure(8082, load.Retransmitted, 1100*time.Millisecond), // the server's own
			failure(8081, load.Retransmitted, 1100*time.Millisecond),
		},
		LeftOut: 2, // refused, and of no switch that anybody knows
	}
	got := New(switches, result, map[uint16][]load.Class{8082: {load.Retransmitted}})
	got.Kinds, got.Losses = nil, nil
	want := &Cell{
		Switches: 4, TookP50: 50 * time.Millisecond, TookMax: 90 * time.Millisecond, Duration: 5 * time.Second,
		Lost:  map[load.Class]int64{load.Refused: 5, load.ResetBefore: 1, load.Retransmitted: 1},
		Own:   map[load.Class]int64{load.Retransmitted: 1},
		Quiet: 1, Hit: 2, Worst: 3,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Failed() != 7 {
		t.Errorf("%d failed, want 7", got.Failed())
	}
}

// However many there are, they are all counted; only the first are kept.
func TestNewKeepsTheFirst(t *testing.T) {
	result := &load.Result{Kinds: map[load.Kind]*load.Counters{load.Short: {Failures: map[load.Class]int64{load.Refused: 1000}}}}
	for i := range 1000 {
		result.Failures = append(result.Failures, failure(8081, load.Refused, time.Second+time.Duration(i)*time.Millisecond))
	}
	c := New([]Switch{switchAt(8081, 1, time.Second)}, result, nil)
	if len(c.Losses) != maxLosses || c.Lost[load.Refused] != 1000 || c.Worst != 1000 {
		t.Errorf("%d kept, %d counted, %d in the worst switch", len(c.Losses), c.Lost[load.Refused], c.Worst)
	}
}
