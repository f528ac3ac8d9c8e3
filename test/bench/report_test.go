package bench

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

func TestMain(m *testing.M) {
	code := host.Main(m)
	summary.print(os.Stdout)
	os.Exit(code)
}

// summary is what the benchmarks have found out, for the tables at the end.
var summary tables

type tables struct {
	switches []measurement
}

// measurement is the switches of one host.
type measurement struct {
	backend    string
	samples    []sample
	bare       []time.Duration // of one `iptables -R`, to its end
	bareCommit []time.Duration // and to its rule in place
}

// column is one of the durations of a sample.
type column struct {
	name, unit string
	of         func(sample) time.Duration
}

var columns = []column{
	{"both rules in place", "total", func(s sample) time.Duration { return s.total }},
	{"  IPv4", "ipv4", func(s sample) time.Duration { return s.v4 }},
	{"  IPv6", "ipv6", func(s sample) time.Duration { return s.v6 }},
	{"of it: iptables", "iptables", func(s sample) time.Duration { return s.iptables }},
	{"of it: probe", "probe", func(s sample) time.Duration { return s.probe }},
	{"of it: our own share", "ours", func(s sample) time.Duration { return s.ours }},
	{"  before the probe", "before", func(s sample) time.Duration { return s.before }},
	{"  from there to iptables", "between", func(s sample) time.Duration { return s.between }},
	{"  around iptables", "commands", func(s sample) time.Duration { return s.commands }},
}

func (r *measurement) column(c column) []time.Duration {
	var values []time.Duration
	for _, s := range r.samples {
		values = append(values, c.of(s))
	}
	return values
}

// report gives a benchmark's line its metrics.
func (r *measurement) report(b *testing.B) {
	b.ReportMetric(0, "ns/op") // the time of what lies between switches
	metric := func(values []time.Duration, unit string) {
		b.ReportMetric(milliseconds(percentile(0.5, values)), unit+"-p50-ms")
		b.ReportMetric(milliseconds(percentile(0.99, values)), unit+"-p99-ms")
	}
	for _, c := range columns {
		switch c.unit {
		case "total", "ours", "iptables", "probe":
			metric(r.column(c), c.unit)
		}
	}
	metric(r.bare, "bare")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (t *tables) print(out io.Writer) {
	if len(t.switches) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintf(out, "\nFrom READY=1 to the rules in place, ms, %d switches each, %d CPUs\n", len(t.switches[0].samples), runtime.NumCPU())
	row := func(name string, cells func(measurement) []time.Duration) {
		fmt.Fprintf(w, "%-32s\t", name)
		for _, r := range t.switches {
			values := cells(r)
			if len(values) == 0 {
				fmt.Fprint(w, "-\t-\t")
				continue
			}
			fmt.Fprintf(w, "%.2f\t%.2f\t", milliseconds(percentile(0.5, values)), milliseconds(percentile(0.99, values)))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "\t")
	for _, r := range t.switches {
		fmt.Fprintf(w, "%s\t\t", r.backend)
	}
	fmt.Fprint(w, "\n\t")
	for range t.switches {
		fmt.Fprint(w, "median\tp99\t")
	}
	fmt.Fprintln(w)
	for _, c := range columns {
		row(c.name, func(r measurement) []time.Duration { return r.column(c) })
	}
	row("one bare iptables -R", func(r measurement) []time.Duration { return r.bare })
	row("  its rule in place", func(r measurement) []time.Duration { return r.bareCommit })
}
