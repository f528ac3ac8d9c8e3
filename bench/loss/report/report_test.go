package report

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/bench/loss/judge"
	"github.com/switcheroo/switcheroo/test/load"
)

// sample is a run of two contenders.
func sample() *Run {
	counters := map[load.Kind]*load.Counters{load.Short: {Connections: 1000, Requests: 990}}
	curve := make([]time.Duration, 2*judge.Reach/judge.Step)
	for i := range curve {
		curve[i] = time.Duration(i+1) * 100 * time.Microsecond
	}
	return &Run{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seed: 7, Commit: "abc",
		Machine: Machine{CPU: "Z80", Cores: 2, Memory: 2 << 30, Kernel: "6.1", System: "Debian", Versions: map[string]string{"go": "go1", "nginx": "n"}},
		Cells: []*judge.Cell{
			{Contender: "ours", Ours: true, Servers: []string{"quick"}, Switches: 20, TookP50: 90 * time.Millisecond, Kinds: counters,
				Latency: judge.Latency{Quiet: judge.Percentiles{N: 9, P99: time.Millisecond}, Around: judge.Percentiles{N: 9, P99: 1500 * time.Microsecond}, Curve: curve}},
			{Contender: "naïve <b>", Servers: []string{"quick", "nginx"}, Switches: 20,
				Kinds: map[load.Kind]*load.Counters{load.KeepAlive: {Connections: 1000, Requests: 990, IdleCloses: 3}},
				Lost:  map[load.Class]int64{load.Refused: 40, load.Other: 2}},
		},
		Speeds: []Speed{{"ours", 100, 900}, {"ours", 300, 700}, {"ours", 200, 800}},
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := sample().Table(&b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(b.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"contender server switches hit connections closed idle lost refused timed out reset before byte reset after byte early end wrong bytes syn retransmitted slow connect other switch p50 p99 quiet around slowest",
		"ours quick 20 - 1000 - 0 - - - - - - - - - 90.0 ms 1.0 ms 1.5 ms -",
		"naïve <b> quick+nginx 20 - 1000 3 42 40 - - - - - - - 2 - - - -",
		"",
		"contender connections/s requests/s",
		"ours 200 800",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := sample().Lost(); n != 0 {
		t.Errorf("ours lost %d", n)
	}
}

// The plots are well-formed, and say what there is to say.
func TestPlots(t *testing.T) {
	for name, c := range map[string]struct {
		picture string
		want    []string
	}{
		"losses":             {Losses(sample().Cells), []string{"ours", "naïve &lt;b&gt;", ">0<", "2.1", "refused 40 in 20 switches"}},
		"latencies":          {Latencies(sample().Cells), []string{"ours", "10 ms", "-500"}},
		"latencies, unknown": {Latencies(sample().Cells[1:]), []string{"no samples"}},
		"nothing":            {Losses(nil), []string{"Failures per switch"}},
	} {
		t.Run(name, func(t *testing.T) {
			for d := xml.NewDecoder(strings.NewReader(c.picture)); ; {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			for _, want := range c.want {
				if !strings.Contains(c.picture, want) {
					t.Errorf("no %q in\n%s", want, c.picture)
				}
			}
			if strings.Contains(c.picture, "NaN") || strings.Contains(c.picture, "Inf") {
				t.Error("it has numbers that are none")
			}
		})
	}
}

func TestDocument(t *testing.T) {
	name := filepath.Join(t.TempDir(), "loss.md")
	before := "mine\n"
	for _, part := range []string{"machine", "run", "held", "long"} {
		before += "<!-- begin " + part + " -->\nold " + part + "\n<!-- end " + part + " -->\nmine\n"
	}
	if err := os.WriteFile(name, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	long := &Long{}
	long.Add(sample().Cells[0], "abc")
	held := []Held{{Server: "redis", Switches: 4, Held: 30, Idle: 21, Lost: map[load.Class]int64{load.EarlyEnd: 8, load.ResetBefore: 1}}}
	// Twice: what was put in the first time is replaced.
	for range 2 {
		if err := Document(name, sample(), long, held); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, want := range []string{
		"2026-01-02, commit abc, seed 7, on 2 cores of Z80, 2 GiB, Debian, Linux 6.1:", "- nginx: n\n",
		"8 early-end, 1 reset-before-byte\n", "naïve",
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is there %d times", want, strings.Count(text, want))
		}
	}
	if !strings.Contains(strings.Join(strings.Fields(text), " "), "ours quick 20 all 20") {
		t.Errorf("no sum of the long run in\n%s", text)
	}
	if strings.Contains(text, "old ") || strings.Count(text, "mine\n") != 5 {
		t.Errorf("it is now:\n%s", text)
	}

	if err := os.WriteFile(name, []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Document(name, sample(), long, held); err == nil || !strings.Contains(err.Error(), "no place for") {
		t.Errorf("without a place: %v", err)
	}
}

func TestLong(t *testing.T) {
	name := filepath.Join(t.TempDir(), "long.json")
	var empty Long
	if err := ReadJSON(name, &empty); err != nil || empty.Switches() != 0 {
		t.Fatalf("no file: %v, %d", err, empty.Switches())
	}
	var l Long
	for _, c := range sample().Cells {
		l.Add(c, "abc")
	}
	if err := l.Write(name); err != nil {
		t.Fatal(err)
	}
	var again Long
	if err := ReadJSON(name, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l, again); diff != "" {
		t.Error(diff)
	}
	// 42 failures, and 3 idle connections that were closed.
	if again.Switches() != 40 || again.Lost() != 45 {
		t.Errorf("%d switches, %d lost", again.Switches(), again.Lost())
	}
}
