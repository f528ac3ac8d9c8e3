package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/bench/event"
)

// BenchmarkServices is one switch on a host that has many services, and what
// the daemon needs for them.
func BenchmarkServices(b *testing.B) {
	for _, backend := range backends {
		for _, services := range []int{50, 500} {
			b.Run(fmt.Sprintf("%s/%d", backend, services), func(b *testing.B) {
				s := open(b, backend, others(services-1))
				s.deploy()
				r := measurement{backend: backend, services: services, loading: s.load(services - 1)}
				for range min(20, switches(b)) {
					r.samples = append(r.samples, s.measured())
				}
				r.memory = s.process(s.systemctl("show", "--value", "--property=MainPID", "switcherood")).memory
				r.bare, r.bareCommit = s.bare(backend, len(r.samples))
				r.report(b)
				b.ReportMetric(float64(r.memory)/1024, "MiB")
				summary.services = append(summary.services, r)
			})
		}
	}
}

// others are n services that are only there: a unit each, and one process that
// listens for them all.
func others(n int) map[string]string {
	files := map[string]string{"/etc/systemd/system/listeners.service": fmt.Sprintf(
		"[Service]\nType=notify\nExecStart=%s listen [::]:20000 %d\n", witness, n)}
	for i := range n {
		files[fmt.Sprintf("/etc/systemd/system/other%d.service", i)] = fmt.Sprintf(
			"[Service]\nType=exec\nExecStart=/bin/sleep infinity\n\n[X-Switcheroo]\nListen=%d\nPort=%d\n", 10000+i, 20000+i)
	}
	return files
}

// load starts the others, and returns how long it took until each had its
// rules.
func (s *stage) load(n int) time.Duration {
	s.Helper()
	s.systemctl("start", "listeners")
	units := []string{"start"}
	for i := range n {
		units = append(units, fmt.Sprintf("other%d", i))
	}
	began := event.Now()
	s.systemctl(units...)
	for deadline := began + 2*time.Minute; ; time.Sleep(50 * time.Millisecond) {
		journal, err := s.Journal(s.Context(), "switcherood.service")
		if err != nil {
			s.Fatal(err)
		}
		switch got := strings.Count(journal, "switched: service=other"); {
		case got == n:
			took := event.Now() - began
			s.quiet(time.Second)
			return took
		case event.Now() > deadline:
			s.Fatalf("not within 2 min: %d other services; there are %d", n, got)
		}
	}
}
