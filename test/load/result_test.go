package load

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func example() *Result {
	short := &Counters{Connections: 10, Requests: 7, IdleCloses: 1, ServerResets: 1, BusyPorts: 2,
		Failures: map[Class]int64{Refused: 2}, Versions: map[string]int64{"v1": 3, "v2": 4}}
	for _, d := range []time.Duration{time.Millisecond, 3 * time.Millisecond, 300 * time.Millisecond} {
		short.Connects.Add(d)
		short.Answers.Add(2 * d)
	}
	return &Result{
		Start: 1e9, End: 3e9, Stalls: []Stall{{From: 1e9, To: 25e8}}, Kinds: map[Kind]*Counters{Short: short},
		Failures: []Failure{
			{Time: 2e9, Began: 2e9 - 5, Kind: Short, Class: Refused, Phase: Connect, Local: ":7", Remote: "[::1]:8", Message: "refused"},
			{Time: 2e9 + 1, Kind: Short, Class: Refused},
		},
	}
}

func TestMerge(t *testing.T) {
	sum := &Result{}
	sum.Merge(example())
	if diff := cmp.Diff(toJSON(t, example()), toJSON(t, sum)); diff != "" {
		t.Errorf("nothing and one: %s", diff)
	}
	other := example()
	other.Start, other.End = 5e8, 9e9
	other.Kinds[Stream] = other.Kinds[Short]
	sum.Merge(other)
	if sum.Start != 5e8 || sum.End != 9e9 || len(sum.Failures) != 4 || sum.Failures[1].Time != 2e9 {
		t.Errorf("%+v", sum)
	}
	total := sum.Total()
	if total.Connections != 30 || total.Requests != 21 || total.Failures[Refused] != 6 || total.Versions["v2"] != 12 ||
		total.IdleCloses != 3 || total.ServerResets != 3 || total.BusyPorts != 6 || sum.Failed() != 6 {
		t.Errorf("%+v", total)
	}
	if got := example(); cmp.Diff(toJSON(t, got), toJSON(t, other)) == "" {
		t.Error("the samples share their counters")
	}
	many := &Result{Failures: make([]Failure, maxDetails)}
	many.Merge(example())
	if len(many.Failures) != maxDetails || many.LeftOut != 2 {
		t.Errorf("%d failures, %d left out", len(many.Failures), many.LeftOut)
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEvents(t *testing.T) {
	var b bytes.Buffer
	for _, e := range []Event{{Progress: &Result{Start: 1}}, {Progress: &Result{Start: 2}}, {Result: example()}} {
		if err := e.Encode(&b); err != nil {
			t.Fatal(err)
		}
	}
	var seen []int64
	got, err := Decode(&b, func(r *Result) { seen = append(seen, r.Start) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(toJSON(t, example()), toJSON(t, got)); diff != "" || !slices.Equal(seen, []int64{1, 2}) {
		t.Errorf("progress %v, result %s", seen, diff)
	}
	if got.Kinds[Short].Connects.Max() != 300*time.Millisecond {
		t.Errorf("the slowest connect came back as %v", got.Kinds[Short].Connects.Max())
	}
	for in, want := range map[string]string{
		"":                           "no result",
		`{"progress":{}}` + "\n":     "no result",
		"panic: boom\n":              "panic: boom",
		`{"result":{"start":"x"}}\n`: "start",
	} {
		if _, err := Decode(strings.NewReader(in), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	var b bytes.Buffer
	Event{Progress: &Result{Start: 1}}.Encode(&b)
	Event{Result: example()}.Encode(&b)
	f.Add(b.Bytes())
	f.Add([]byte(`{"result":{"kinds":{"short":null},"failures":[{}]}}`))
	f.Add([]byte(`{"result":{"kinds":{"short":{"connects":{"max_ns":-1,"buckets":{"-9":-9,"999999":9}}}}}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := Decode(bytes.NewReader(in), func(r *Result) { r.Total() })
		if err != nil {
			return
		}
		r.Valid()
		if err := r.Table(io.Discard); err != nil {
			t.Error(err)
		}
		var out bytes.Buffer
		if err := (Event{Result: r}).Encode(&out); err != nil {
			t.Fatal(err)
		}
		again, err := Decode(&out, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(toJSON(t, r), toJSON(t, again)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := example().Table(&b); err != nil {
		t.Fatal(err)
	}
	want := `
  clients  connections  requests  refused  timed out  reset before byte  reset after byte  early end  wrong bytes  syn retransmitted  slow connect  idle closes  server's own resets  connect p50      p99      max
    short           10         7        2          0                  0                 0          0            0                  0             0            1                    1        3.1ms  300.0ms  300.0ms
      all           10         7        2          0                  0                 0          0            0                  0             0            1                    1        3.1ms  300.0ms  300.0ms
served by: v1 3, v2 4; in 2s; the clients themselves stood still for up to 1.5s
`
	if diff := cmp.Diff(want, "\n"+b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	if h.Quantile(.5) != 0 || h.Max() != 0 {
		t.Error("an empty histogram holds something")
	}
	var all []time.Duration
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		d := time.Duration(rng.ExpFloat64() * float64(5*time.Millisecond))
		all = append(all, d)
		h.Add(d)
	}
	slices.Sort(all)
	for _, q := range []float64{.01, .5, .9, .99, .999, 1} {
		exact := all[int(q*float64(len(all)-1))]
		if got := h.Quantile(q); got < exact || got > exact+exact/8+2*time.Microsecond {
			t.Errorf("quantile %v is %v, exactly %v", q, got, exact)
		}
	}
	for _, d := range []time.Duration{0, 1, 999, time.Microsecond, 7999, 8 * time.Microsecond, 15999, 16 * time.Microsecond, 17 * time.Microsecond, time.Second, time.Hour, 10_000 * time.Hour} {
		b := bucket(d)
		if upper(b) < d || b > 0 && upper(b-1) >= d {
			t.Errorf("%v is in bucket %d, which ends with %v", d, b, upper(b))
		}
	}
}

// What swload is told in a guest is what the test asked for.
func TestArgs(t *testing.T) {
	want := Config{
		Targets: []string{"10.9.0.1:80", "[fd00:9::1]:80"}, Protocol: Redis, Short: 1, KeepAlive: 2, Streams: 3, Requests: 4,
		StreamFor: 5 * time.Second, Rate: 6, Duration: 7 * time.Second, Connections: 8, Timeout: 9 * time.Second,
		SlowConnect: -10 * time.Second, SourcePorts: PortRange{11, 12}, Echo: 13, TLS: 14, WebSocket: 15, HTTP2: 16,
		Pause: 17 * time.Second, Seed: 1<<63 + 18, Samples: true,
	}
	parse := func(args []string) Config {
		var c Config
		set := flag.NewFlagSet("", flag.ContinueOnError)
		c.Flags(set)
		if err := set.Parse(args); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if diff := cmp.Diff(want, parse(want.Args())); diff != "" {
		t.Error(diff)
	}
	least := Config{Targets: []string{"x:1"}, Short: 1, Duration: time.Second}
	want, err := least.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, parse(least.Args())); diff != "" {
		t.Errorf("the defaults of the flags are others: %s", diff)
	}
}
