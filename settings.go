package switcheroo

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
	"github.com/switcheroo/switcheroo/internal/nat/single"
)

// The defaults of Options.
const (
	defaultPortMin      = 40400
	defaultPortMax      = 40499
	defaultProbeTimeout = 30 * time.Second
	defaultStandby      = 10 * time.Second
	defaultDrain        = 5 * time.Minute
)

// settings are Options, checked and with their defaults.
type settings struct {
	name             string
	endpoints        []nat.Endpoint
	portMin, portMax int
	scope            nat.Scope
	probe            check
	probeTimeout     time.Duration
	standby          time.Duration
	drain            time.Duration // negative: for ever
	portOnly         bool
	log              *slog.Logger
}

func (o Options) settings() (settings, error) {
	s := settings{
		name:         o.Name,
		portMin:      o.PortMin,
		portMax:      o.PortMax,
		scope:        nat.Scope(cmp.Or(o.Scope, Everyone)),
		probeTimeout: cmp.Or(o.ProbeTimeout, defaultProbeTimeout),
		standby:      max(0, cmp.Or(o.Standby, defaultStandby)),
		drain:        cmp.Or(o.Drain, defaultDrain),
		portOnly:     o.PortOnly,
		log:          logOf(o),
	}
	if err := single.CheckName(o.Name); err != nil {
		return s, err
	}
	if s.portMin == 0 && s.portMax == 0 {
		s.portMin, s.portMax = defaultPortMin, defaultPortMax
	}
	if s.portMin < 1 || s.portMax > 65535 || s.portMin > s.portMax {
		return s, fmt.Errorf("private ports from %d to %d: not a range within 1 to 65535", s.portMin, s.portMax)
	}
	if s.scope&^nat.Everyone != 0 {
		return s, fmt.Errorf("scope %d: neither Network nor Localhost nor both", o.Scope)
	}
	if s.probeTimeout < 0 {
		return s, fmt.Errorf("probe timeout %v: negative", s.probeTimeout)
	}
	var err error
	if s.endpoints, err = parseEndpoints(o.Listen); err != nil {
		return s, err
	}
	for _, e := range s.endpoints {
		if int(e.Port) >= s.portMin && int(e.Port) <= s.portMax {
			return s, fmt.Errorf("endpoint %v is one of the private ports, %d to %d", e, s.portMin, s.portMax)
		}
	}
	s.probe, err = parseProbe(o.Probe)
	return s, err
}

func logOf(o Options) *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}
