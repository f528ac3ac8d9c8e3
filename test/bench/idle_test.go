package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// idle is what the daemon costs while nothing happens.
type idle struct {
	backend string
	window  time.Duration
	wakeups int
	cpu     time.Duration // of the window
	memory  int           // resident, KiB
	most    int           // that it ever was, KiB
}

func (i *idle) perMinute() float64 {
	return float64(i.wakeups) * float64(time.Minute) / float64(i.window)
}

// idleWindow is how long nothing happens: SWITCHEROO_IDLE, or 30 s.
func idleWindow(tb testing.TB) time.Duration {
	tb.Helper()
	v := os.Getenv("SWITCHEROO_IDLE")
	if v == "" {
		return 30 * time.Second
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		tb.Fatalf("SWITCHEROO_IDLE=%s: want a duration such as 30s", v)
	}
	return d
}

// BenchmarkIdle counts what wakes the daemon after its last switch has
// settled.
func BenchmarkIdle(b *testing.B) {
	for _, backend := range backends {
		b.Run(backend, func(b *testing.B) {
			s := open(b, backend, nil)
			for range 3 {
				s.deploy()
			}
			i := s.idle(idleWindow(b))
			i.backend = backend
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(i.perMinute(), "wakeups/min")
			b.ReportMetric(float64(i.memory)/1024, "MiB")
			summary.idle = append(summary.idle, i)
		})
	}
}

// idle waits until the last switch is over, and then lets time pass.
func (s *stage) idle(window time.Duration) idle {
	s.Helper()
	s.stopped()
	s.quiet(5 * time.Second) // it looks at others' rules a little later
	pid := s.systemctl("show", "--value", "--property=MainPID", "switcherood")
	before := s.process(pid)
	time.Sleep(window) // what happens in it is what is measured
	after := s.process(pid)
	return idle{window: window, wakeups: after.switches - before.switches, cpu: after.cpu - before.cpu,
		memory: after.memory, most: after.most}
}

// stopped waits until systemd has stopped all versions but the last.
func (s *stage) stopped() {
	s.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left := s.systemctl("list-units", "--plain", "--no-legend", "bench@*")
		if strings.Count(left, "\n") == 0 && strings.HasPrefix(left, "bench@"+s.unit()+".service") {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("not within 30 s: all but %s are gone; there are\n%s", s.unit(), left)
		}
	}
}

// process is what the kernel says of a process.
type process struct {
	switches     int // that its threads made of their own will, to sleep
	cpu          time.Duration
	memory, most int // KiB
}

func (s *stage) process(pid string) process {
	s.Helper()
	out, err := s.Run(s.Context(), "sh", "-c", "cat /proc/"+pid+"/status /proc/"+pid+"/task/*/status /proc/"+pid+"/task/*/schedstat")
	if err != nil {
		s.Fatal(err)
	}
	p, err := parseProcess(out)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// parseProcess reads /proc/PID/status, then those of all threads, then their
// schedstat, which begins with the nanoseconds that they ran.
func parseProcess(text string) (p process, err error) {
	number := func(s string) int {
		n, e := strconv.Atoi(strings.Fields(s + " ?")[0])
		if e != nil {
			err = fmt.Errorf("not a number: %q", s)
		}
		return n
	}
	first := true
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		switch {
		case !ok:
			p.cpu += time.Duration(number(line))
		case key == "VmRSS":
			p.memory = number(value)
		case key == "VmHWM":
			p.most = number(value)
		case key == "voluntary_ctxt_switches" && first:
			first = false // of the main thread, which is among the tasks as well
		case key == "voluntary_ctxt_switches":
			p.switches += number(value)
		}
	}
	return p, err
}

func TestParseProcess(t *testing.T) {
	got, err := parseProcess("Name:\tx\nVmHWM:\t   200 kB\nVmRSS:\t   100 kB\nvoluntary_ctxt_switches:\t7\n" +
		"Name:\tx\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t9\n" +
		"Name:\tx\nVmRSS:\t   100 kB\nvoluntary_ctxt_switches:\t5\n" +
		"1000 20 3\n500 20 3\n")
	want := process{switches: 12, cpu: 1500, memory: 100, most: 200}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if _, err := parseProcess("VmRSS:\tmuch\n"); err == nil {
		t.Error("no error for a word")
	}
}
