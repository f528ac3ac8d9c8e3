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
	services []measurement
	idle     []idle
}

// measurement is the switches of one host.
type measurement struct {
	backend    string
	samples    []sample
	bare       []time.Duration // of one `iptables -R`, to its end
	bareCommit []time.Duration // and to its rule in place

	services int           // on the host; 0: one
	loading  time.Duration // of all but one of them, at once
	memory   int           // resident, of the daemon, KiB
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
	if len(t.switches) > 0 {
		fmt.Fprintf(out, "\nFrom READY=1 to the rules in place, ms, %d switches each, %d CPUs\n", len(t.switches[0].samples), runtime.NumCPU())
		printSwitches(out, t.switches)
	}
	if len(t.services) > 0 {
		fmt.Fprintf(out, "\nThe same on a host with many services, ms, %d switches each\n", len(t.services[0].samples))
		printSwitches(out, t.services)
	}
	if len(t.idle) > 0 {
		t.printIdle(out)
	}
}

func printSwitches(out io.Writer, of []measurement) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	row := func(name string, cells func(measurement) (median, p99 string)) {
		fmt.Fprintf(w, "%-32s\t", name)
		for _, m := range of {
			median, p99 := cells(m)
			fmt.Fprintf(w, "%s\t%s\t", median, p99)
		}
		fmt.Fprintln(w)
	}
	times := func(name string, values func(measurement) []time.Duration) {
		row(name, func(m measurement) (string, string) {
			v := values(m)
			if len(v) == 0 {
				return "-", "-"
			}
			return fmt.Sprintf("%.2f", milliseconds(percentile(0.5, v))), fmt.Sprintf("%.2f", milliseconds(percentile(0.99, v)))
		})
	}
	row("", func(m measurement) (string, string) { return m.backend, "" })
	if of[0].services > 0 {
		row("services", func(m measurement) (string, string) { return fmt.Sprint(m.services), "" })
	}
	row("", func(measurement) (string, string) { return "median", "p99" })
	for _, c := range columns {
		times(c.name, func(m measurement) []time.Duration { return m.column(c) })
	}
	times("one bare iptables -R", func(m measurement) []time.Duration { return m.bare })
	times("  its rule in place", func(m measurement) []time.Duration { return m.bareCommit })
	if of[0].services > 0 {
		row("all started at once, s", func(m measurement) (string, string) { return fmt.Sprintf("%.1f", m.loading.Seconds()), "" })
		row("resident memory, MiB", func(m measurement) (string, string) { return fmt.Sprintf("%.1f", float64(m.memory)/1024), "" })
	}
}

func (t *tables) printIdle(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintf(out, "\nThe daemon while nothing happens, %s each\n", t.idle[0].window)
	row := func(name string, cell func(idle) string) {
		fmt.Fprintf(w, "%-32s\t", name)
		for _, i := range t.idle {
			fmt.Fprintf(w, "%s\t", cell(i))
		}
		fmt.Fprintln(w)
	}
	row("", func(i idle) string { return i.backend })
	row("wake-ups a minute, all threads", func(i idle) string { return fmt.Sprintf("%.0f", i.perMinute()) })
	row("CPU time a minute, ms", func(i idle) string {
		return fmt.Sprintf("%.2f", milliseconds(i.cpu)*float64(time.Minute)/float64(i.window))
	})
	row("resident memory, MiB", func(i idle) string { return fmt.Sprintf("%.1f", float64(i.memory)/1024) })
	row("  the most it ever was", func(i idle) string { return fmt.Sprintf("%.1f", float64(i.most)/1024) })
}
