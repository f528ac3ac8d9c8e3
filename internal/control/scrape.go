package control

import (
	"context"
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/switcheroo/switcheroo/internal/api"
)

// scrape collects what is looked up only when somebody asks.
type scrape struct{ *Server }

var (
	currentDesc = prometheus.NewDesc("switcheroo_current", "1 for the instance that new connections go to.",
		[]string{"service", "unit", "version"}, nil)
	servedDesc = prometheus.NewDesc("switcheroo_service_up", "1 if an instance has the traffic of the service, else 0.",
		[]string{"service"}, nil)
	instancesDesc = prometheus.NewDesc("switcheroo_instances", "Instances by state.",
		[]string{"service", "state"}, nil)
	connectionsDesc = prometheus.NewDesc("switcheroo_connections", "Connections by instance and state: open, queued (not accepted yet) or half_open.",
		[]string{"service", "unit", "state"}, nil)
	pausedDesc  = prometheus.NewDesc("switcheroo_service_paused", "1 if new connections of the service wait, else 0.", []string{"service"}, nil)
	waitingDesc = prometheus.NewDesc("switcheroo_held_connections", "Connections that wait because their service is paused.", []string{"service"}, nil)
	heldDesc    = prometheus.NewDesc("switcheroo_held_connections_total", "Connections that had to wait.", []string{"service"}, nil)
	trackedDesc = prometheus.NewDesc("switcheroo_conntrack_entries", "Entries in the kernel's table of connections.", nil, nil)
	limitDesc   = prometheus.NewDesc("switcheroo_conntrack_entries_limit", "How many it may have.", nil, nil)
)

func (s scrape) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{currentDesc, servedDesc, instancesDesc, connectionsDesc, pausedDesc, waitingDesc, heldDesc, trackedDesc, limitDesc} {
		to <- d
	}
}

func (s scrape) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	if entries, most, err := s.Sockets.Tracked(); err != nil {
		to <- prometheus.NewInvalidMetric(trackedDesc, err)
	} else {
		gauge(trackedDesc, entries)
		gauge(limitDesc, most)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	v, err := s.World.View(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(servedDesc, err)
		return
	}
	counts, err := s.Sockets.Count(ctx, portsOf(v))
	if err != nil {
		to <- prometheus.NewInvalidMetric(connectionsDesc, err)
	}
	waiting := s.Gate.Waiting()
	for i := range v.Services {
		svc := serviceOf(v, &v.Services[i], nil)
		up := 0
		if svc.Current != "" {
			up = 1
		}
		gauge(servedDesc, up, svc.Name)
		paused := 0
		if v.Services[i].Pause != nil {
			paused = 1
		}
		gauge(pausedDesc, paused, svc.Name)
		gauge(waitingDesc, waiting[svc.Name].Now, svc.Name)
		to <- prometheus.MustNewConstMetric(heldDesc, prometheus.CounterValue, float64(waiting[svc.Name].Since), svc.Name)
		states := map[api.State]int{}
		for _, in := range svc.Instances {
			states[in.State]++
			if in.State == api.Current {
				gauge(currentDesc, 1, svc.Name, in.Unit, in.Version)
			}
			var sum Count
			for _, p := range in.Ports {
				sum.Open += counts[p].Open
				sum.Queued += counts[p].Queued
				sum.HalfOpen += counts[p].HalfOpen
			}
			if err == nil && len(in.Ports) > 0 {
				gauge(connectionsDesc, sum.Open, svc.Name, in.Unit, "open")
				gauge(connectionsDesc, sum.Queued, svc.Name, in.Unit, "queued")
				gauge(connectionsDesc, sum.HalfOpen, svc.Name, in.Unit, "half_open")
			}
		}
		for state, n := range states {
			gauge(instancesDesc, n, svc.Name, string(state))
		}
	}
}

// slot is a connection that frees its place when it is closed.
type slot struct {
	net.Conn
	free   chan struct{}
	closed sync.Once
}

func (s *slot) Close() error {
	s.closed.Do(func() { <-s.free })
	return s.Conn.Close()
}
