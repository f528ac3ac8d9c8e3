package doctor

import (
	"fmt"
	"math"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// mistakes are those in unit files.
func mistakes(f *Facts) []api.Ailment {
	var all []api.Ailment
	for _, m := range f.Mistakes {
		all = append(all, api.Ailment{Severity: api.Broken, Where: m.Unit, Message: m.Message,
			Remedy: "correct the file, then \"systemctl daemon-reload\"; until then what was valid before holds"})
	}
	return all
}

// stale is about files that systemd does not follow.
func stale(f *Facts) []api.Ailment {
	var all []api.Ailment
	for _, l := range f.Lifecycles {
		if l.Stale {
			all = append(all, api.Ailment{Severity: api.Doubtful, Where: l.Unit,
				Message: "its files have changed on disk since systemd has loaded them",
				Remedy:  "systemctl daemon-reload"})
		}
	}
	return all
}

// ordered is about what happens at shutdown.
func ordered(f *Facts) []api.Ailment {
	var all []api.Ailment
	for _, l := range f.Lifecycles {
		if !l.Ordered {
			all = append(all, api.Ailment{Severity: api.Doubtful, Where: l.Unit,
				Message: "without After=switcherood.service the daemon may be stopped before it at shutdown, and nobody sees its connections out",
				Remedy:  "add to its [Unit] section: Wants=switcherood.service and After=switcherood.service"})
		}
	}
	return all
}

// stopTimeout is about what systemd kills.
func stopTimeout(f *Facts) []api.Ailment {
	var all []api.Ailment
	for _, l := range f.Lifecycles {
		if l.Drains && l.Drain > l.StopTimeout {
			all = append(all, api.Ailment{Severity: api.Doubtful, Where: l.Unit,
				Message: fmt.Sprintf("its ExecStop= drains for up to DrainSec=%s, but systemd ends that after TimeoutStopSec=%s", span(l.Drain), span(l.StopTimeout)),
				Remedy:  fmt.Sprintf("in its [Service] section: TimeoutStopSec=%s, or a shorter DrainSec=", enough(l.Drain))})
		}
		if l.Killed {
			all = append(all, api.Ailment{Severity: api.Doubtful, Where: l.Unit,
				Message: "the last time it had not stopped within its TimeoutStopSec=, and was killed",
				Remedy:  "a longer TimeoutStopSec= in its [Service] section, or let it end sooner after SIGTERM"})
		}
	}
	return all
}

// span is a time in systemd's notation.
func span(d time.Duration) string {
	if d == math.MaxInt64 {
		return "infinity"
	}
	text := ""
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if n := d / u.unit; n > 0 {
			text, d = text+fmt.Sprint(int64(n))+u.name, d%u.unit
		}
	}
	if text == "" {
		return "0"
	}
	return text
}

// enough is a TimeoutStopSec= for a drain.
func enough(drain time.Duration) string {
	if drain == math.MaxInt64 {
		return "infinity"
	}
	return span(drain.Round(time.Second) + 30*time.Second)
}
