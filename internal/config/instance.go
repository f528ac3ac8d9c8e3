package config

import "time"

// Instance is the [X-Switcheroo] section of one unit, validated, with defaults
// filled in and specifiers expanded.
type Instance struct {
	Unit    string // "myapp@v2.service"
	Service string
	Listen  []Listen // never empty, except in a template
	// ListenAt says where each of Listen stands. It is nil in an Instance
	// that no file gave, and no part of what the instance asks for.
	ListenAt []Pos `json:"-"`
	// Ports are the private ports by endpoint name ("" for the unnamed);
	// nil means auto: found from the unit's listening sockets. If it is not
	// nil, every one of Listen has its port in it.
	Ports        map[string]uint16
	Scope        Scope
	Probe        Probe
	ProbeTimeout time.Duration
	Standby      time.Duration
	Drain        time.Duration // or Infinity
	Guard        bool
}

// instanceSchema is the section of a unit.
var instanceSchema = &schema{
	name:   "X-Switcheroo",
	file:   "a unit",
	scalar: []string{"Service", "Scope", "Probe", "ProbeTimeoutSec", "StandbySec", "DrainSec", "Guard"},
	list:   []string{"Listen", "Port"},
}

// ParseInstance reads the [X-Switcheroo] section of a unit. The files are its
// fragment and its drop-ins in the order in which systemd applies them, that
// of DropInPaths. The instance is nil, without an error, when none of them has
// the section.
//
// The unit may be a template, "myapp@.service", to check it before there is
// an instance. A value that depends on the instance's name (%i, %I, %n, %N) is
// then left at its default and not judged, and Listen is empty if all of its
// entries are such.
//
// The error is of type [Errors] and holds every fault of the unit.
func ParseInstance(unit string, files []File) (*Instance, error) {
	sec := readSection(instanceSchema, files)
	if sec.header.Line == 0 {
		return nil, sec.errs.sorted(files)
	}
	name, f := parseUnitName(unit)
	if f != nil {
		sec.fail(sec.header, f)
		return nil, sec.errs.sorted(files)
	}
	r := &reader{section: sec, expand: name.expand, asks: asksDaemon(files)}
	in := &Instance{
		Unit:         unit,
		Service:      r.service(name.prefix),
		Scope:        scalar(r, "Scope", Everyone, parseScope),
		Probe:        scalar(r, "Probe", Probe{Kind: ProbeTCP}, parseProbe),
		ProbeTimeout: scalar(r, "ProbeTimeoutSec", 30*time.Second, parsePositive),
		Standby:      scalar(r, "StandbySec", 10*time.Second, parseFinite),
		Drain:        scalar(r, "DrainSec", 5*time.Minute, parseTimespan),
		Guard:        scalar(r, "Guard", true, parseBool),
	}
	listen, at, listenOK := r.listens()
	choices, choicesOK := r.choices()
	if listenOK && choicesOK {
		in.Ports = r.ports(listen, at, choices)
	}
	in.Listen, in.ListenAt = listen, at
	r.checkReachable(in)
	if err := r.errs.sorted(files); err != nil {
		return nil, err
	}
	return in, nil
}

// checkReachable refuses an endpoint that nobody could dial.
func (r *reader) checkReachable(in *Instance) {
	for i, l := range in.Listen {
		if in.Scope == Network && l.Addr.IsLoopback() {
			r.fail(in.ListenAt[i], faultf("remove Scope=, or write Scope=localhost", "Listen=%s: only this host reaches %s, and Scope=network leaves it out", l, l.Addr))
		}
	}
}
