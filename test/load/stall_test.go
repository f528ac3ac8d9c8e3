package load

import (
	"testing"
	"time"
)

// A connect that took 300 ms, from 1000 to 1300 ms, while the clients stood
// still now and then.
func TestExcuse(t *testing.T) {
	const ms = int64(time.Millisecond)
	tests := map[string]struct {
		class  Class
		stalls []Stall
		want   bool // excused
	}{
		"never stood still":       {SlowConnect, nil, false},
		"at another time":         {SlowConnect, []Stall{{500 * ms, 1000 * ms}, {1300 * ms, 2000 * ms}}, false},
		"too short":               {SlowConnect, []Stall{{1100 * ms, 1199 * ms}}, false},
		"long enough":             {SlowConnect, []Stall{{1100 * ms, 1200 * ms}}, true},
		"twice":                   {SlowConnect, []Stall{{900 * ms, 1050 * ms}, {1200 * ms, 1250 * ms}}, true},
		"all the time":            {SlowConnect, []Stall{{0, 9000 * ms}}, true},
		"something worse happens": {Refused, []Stall{{0, 9000 * ms}}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := &Result{
				Kinds:    map[Kind]*Counters{Short: {Failures: map[Class]int64{tt.class: 1}}},
				Failures: []Failure{{Kind: Short, Class: tt.class, Began: 1000 * ms, Connected: 1300 * ms}},
				Stalls:   tt.stalls,
			}
			r.excuse(200 * time.Millisecond)
			c := r.Kinds[Short]
			if excused := r.Failed() == 0; excused != tt.want || len(r.Failures) != int(r.Failed()) || c.Stalled != 1-r.Failed() {
				t.Errorf("%d failed, %d listed, %d stalled", r.Failed(), len(r.Failures), c.Stalled)
			}
		})
	}
}
