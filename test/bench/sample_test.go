package bench

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/test/bench/event"
)

// sample is where the time of one switch went, from READY=1 on.
type sample struct {
	v4, v6   time.Duration // until a family's rule was in place
	total    time.Duration // until both were
	iptables time.Duration // of it, from the probe on, while a command of iptables ran
	probe    time.Duration // of it, from the probe's connection to its end
	ours     time.Duration // the rest: systemd, D-Bus and the daemon
	before   time.Duration // of that, before the probe
	between  time.Duration // from the probe to the first command, 0 if it was started ahead
	commands time.Duration // around commands: starting them, reading what they print
}

// span is a stretch of time.
type span struct{ from, to time.Duration }

// measure reads a switch to version from what the witness told. It is not ok
// until all that is needed was told.
func measure(events []event.Event, version string) (s sample, ok bool) {
	// Several goroutines tell.
	events = slices.SortedFunc(slices.Values(events), func(a, b event.Event) int { return cmp.Compare(a.At, b.At) })
	ready, ok := first(events, event.Event{Kind: event.Ready, Unit: version})
	if !ok {
		return s, false
	}
	after := events[slices.Index(events, ready):]
	v4, ok4 := first(after, event.Event{Kind: event.Commit, Family: 4})
	v6, ok6 := first(after, event.Event{Kind: event.Commit, Family: 6})
	accepted, okAccepted := first(after, event.Event{Kind: event.Accepted, Unit: version})
	closed, okClosed := first(after, event.Event{Kind: event.Closed, Unit: version})
	if !ok4 || !ok6 || !okAccepted || !okClosed {
		return s, false
	}
	whole := span{ready.At, max(v4.At, v6.At)}
	probe := span{accepted.At, closed.At}
	commands := executions(events, probe.to)
	if len(commands) == 0 {
		return s, false
	}
	s = sample{
		v4: v4.At - ready.At, v6: v6.At - ready.At, total: whole.to - whole.from,
		iptables: covered(whole, commands...),
		probe:    covered(whole, probe),
		before:   probe.from - whole.from - covered(span{whole.from, probe.from}, commands...),
	}
	s.ours = s.total - covered(whole, append(commands, probe)...)
	s.between = commands[0].from - probe.to
	s.commands = s.ours - s.before - s.between
	return s, true
}

// executions are the times of the commands from begun on, in their order. One
// that has not ended yet runs until the end of time. One that was started ahead
// counts from begun on: there is nothing to see when it is given what to write,
// so what the daemon does until then counts as its own.
func executions(events []event.Event, begun time.Duration) []span {
	var all []span
	for i, e := range events {
		if e.Kind != event.Exec {
			continue
		}
		run := span{max(e.At, begun), 1<<63 - 1}
		if exit, any := first(events[i:], event.Event{Kind: event.Exit, PID: e.PID}); any {
			run.to = exit.At
		}
		if run.to > begun {
			all = append(all, run)
		}
	}
	return all
}

// covered is how much of whole lies in at least one of parts.
func covered(whole span, parts ...span) (sum time.Duration) {
	parts = slices.SortedFunc(slices.Values(parts), func(a, b span) int { return cmp.Compare(a.from, b.from) })
	at := whole.from
	for _, p := range parts {
		from, to := max(p.from, at), min(p.to, whole.to)
		if from < to {
			sum += to - from
			at = to
		}
	}
	return sum
}

// percentile returns the value that p of all values are not above.
func percentile(p float64, values []time.Duration) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(p*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func TestMeasure(t *testing.T) {
	const ms = time.Millisecond
	events := []event.Event{
		{At: 5 * ms, Kind: event.Commit, Family: 4}, // of an earlier switch
		{At: 10 * ms, Kind: event.Ready, Unit: "v2"},
		{At: 12 * ms, Kind: event.Accepted, Unit: "v2"},
		{At: 13 * ms, Kind: event.Closed, Unit: "v2"},
		{At: 15 * ms, Kind: event.Exec, PID: 1},
		{At: 20 * ms, Kind: event.Commit, Family: 4},
		{At: 30 * ms, Kind: event.Exit, PID: 1},
		{At: 24 * ms, Kind: event.Exec, PID: 2}, // told late
		{At: 33 * ms, Kind: event.Exec, PID: 3},
	}
	if _, ok := measure(events, "v2"); ok {
		t.Error("measured what is not over")
	}
	events = append(events,
		event.Event{At: 38 * ms, Kind: event.Commit, Family: 6},
		event.Event{At: 37 * ms, Kind: event.Exit, PID: 2},
		event.Event{At: 50 * ms, Kind: event.Exit, PID: 3})
	got, ok := measure(events, "v2")
	if !ok {
		t.Fatal("not measured")
	}
	want := sample{v4: 10 * ms, v6: 28 * ms, total: 28 * ms, iptables: 23 * ms, probe: 1 * ms,
		ours: 4 * ms, before: 2 * ms, between: 2 * ms}
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(sample{})); diff != "" {
		t.Error(diff)
	}
	ahead := append(events,
		event.Event{At: 6 * ms, Kind: event.Exec, PID: 4},
		event.Event{At: 7 * ms, Kind: event.Exit, PID: 4}, // not of this switch
		event.Event{At: 8 * ms, Kind: event.Exec, PID: 5},
		event.Event{At: 21 * ms, Kind: event.Exit, PID: 5})
	want.iptables, want.ours, want.between = 25*ms, 2*ms, 0
	if got, _ := measure(ahead, "v2"); got != want {
		t.Errorf("started ahead: %+v, want %+v", got, want)
	}
}

func TestPercentile(t *testing.T) {
	var values []time.Duration
	for i := range 100 {
		values = append(values, time.Duration(100-i))
	}
	for _, tt := range []struct {
		p    float64
		n    int
		want time.Duration
	}{
		{0.5, 100, 50}, {0.99, 100, 99}, {0.5, 3, 99}, {0.99, 3, 100}, {0.5, 1, 100}, {0.5, 0, 0},
	} {
		if got := percentile(tt.p, values[:tt.n]); got != tt.want {
			t.Errorf("percentile(%g) of %d values = %d, want %d", tt.p, tt.n, got, tt.want)
		}
	}
}
