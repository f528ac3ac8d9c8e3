package control

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// Metrics are what is counted, for Prometheus. docs/metrics.md describes each.
// Its methods may be called by several goroutines, and wait for nothing.
type Metrics struct {
	registry   *prometheus.Registry
	switches   *prometheus.CounterVec
	took       prometheus.Histogram
	quiesced   prometheus.Histogram
	drained    prometheus.Histogram
	expired    prometheus.Counter
	repairs    prometheus.Counter
	failures   prometheus.Counter
	reconnects prometheus.Counter
	probes     *prometheus.CounterVec
}

// NewMetrics returns Metrics that have counted nothing.
func NewMetrics(version, backend string) *Metrics {
	r := prometheus.NewRegistry()
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		r.MustRegister(h)
		return h
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "switcheroo_build_info", Help: "Version and backend; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "backend": backend}})
	info.Set(1)
	r.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &Metrics{
		registry: r,
		switches: counters("switcheroo_switches_total", "Deploys and rollbacks by how they ended.", "service", "result"),
		took: histogram("switcheroo_switch_duration_seconds", "Time that one change of the rules took, waiting for the lock included.",
			.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 15),
		quiesced: histogram("switcheroo_quiesce_duration_seconds", "Time from a switch until the queues of the old listener were empty.",
			.025, .05, .1, .25, .5, 1, 5, 30, 60, 300),
		drained: histogram("switcheroo_drain_duration_seconds", "Time from a switch until the old connections had ended, or DrainSec= was over.",
			.1, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400),
		expired:    counter("switcheroo_drains_expired_total", "Drains that DrainSec= ended with connections left."),
		repairs:    counter("switcheroo_repairs_total", "Repairs of rules that another program had changed or flushed."),
		failures:   counter("switcheroo_rules_failures_total", "Failed attempts to change rules, of which those with the same error count once a minute."),
		reconnects: counter("switcheroo_dbus_reconnects_total", "Losses of the connection to systemd."),
		probes:     counters("switcheroo_probes_total", "Probes of instances by kind and result.", "kind", "result"),
	}
}

// results are the values of the label result, by what they count.
var results = map[controller.Kind]string{
	controller.Switched:     "switched",
	controller.SwitchedBack: "switched_back",
	controller.Withdrawn:    "withdrawn",
	controller.Superseded:   "superseded",
	controller.Refused:      "refused",
	controller.NotReady:     "not_ready",
}

// Tell counts one of the news.
func (m *Metrics) Tell(n controller.News) {
	if result := results[n.Kind]; result != "" {
		m.switches.WithLabelValues(n.Service, result).Inc()
	}
	switch n.Kind {
	case controller.Switched, controller.SwitchedBack:
		m.took.Observe(n.Took.Seconds())
	case controller.Quiesced:
		m.quiesced.Observe(n.Took.Seconds())
	case controller.DrainExpired:
		m.expired.Inc()
		m.drained.Observe(n.Took.Seconds())
	case controller.Drained:
		m.drained.Observe(n.Took.Seconds())
	case controller.Repaired:
		m.repairs.Inc()
	case controller.RulesFailed:
		m.failures.Inc()
	}
}

// Probed counts a probe.
func (m *Metrics) Probed(kind string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.probes.WithLabelValues(kind, result).Inc()
}

// Reconnected counts a loss of the connection to systemd.
func (m *Metrics) Reconnected() { m.reconnects.Inc() }

// scrapesAtOnce bounds how many collect at the same time.
const scrapesAtOnce = 4

// handler writes all metrics.
func (m *Metrics) handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            errorLog{log},
		ErrorHandling:       promhttp.ContinueOnError,
		DisableCompression:  true,
		MaxRequestsInFlight: scrapesAtOnce,
	})
}

// errorLog is what promhttp complains to.
type errorLog struct{ log *slog.Logger }

func (l errorLog) Println(v ...any) { l.log.Warn("metrics not complete", "error", v) }

func (s *Server) metrics(c *call) (any, *api.Error) {
	http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(writeTimeout))
	s.exposition.ServeHTTP(c.w, c.Request)
	return nil, nil
}

// ServeMetrics answers /metrics, and nothing else, on l until ctx ends.
func (s *Server) ServeMetrics(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", http.TimeoutHandler(s.exposition, quickTimeout, ""))
	h := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      quickTimeout + writeTimeout,
		IdleTimeout:       2 * time.Minute, // Prometheus asks again before
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	return run(ctx, h, &limited{Listener: l, slots: make(chan struct{}, 64)})
}

// limited turns connections away while there are as many as slots.
type limited struct {
	net.Listener
	slots chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &slot{Conn: c, free: l.slots}, nil
		default:
			c.Close()
		}
	}
}
