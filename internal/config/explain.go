package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Setting is one value in force, and where it comes from.
type Setting struct {
	Key   string
	Value string // as Key= would say it, with specifiers expanded
	At    Pos    // the zero Pos if it is the default
}

// Explain reads the files as [ParseInstance] does, and returns every key with
// its value, in the order of switcheroo.unit(5): Listen= once for each endpoint
// and Port= once for each name. The settings are nil, without an error, when
// none of the files has the section.
func Explain(unit string, files []File) ([]Setting, error) {
	in, err := ParseInstance(unit, files)
	if err != nil || in == nil {
		return nil, err
	}
	sec := readSection(instanceSchema, files)
	var all []Setting
	add := func(key, value string) {
		var at Pos
		if given := sec.values[key]; len(given) > 0 {
			at = given[len(given)-1].at
		}
		all = append(all, Setting{key, value, at})
	}
	add("Service", in.Service)
	for i, l := range in.Listen {
		all = append(all, Setting{"Listen", l.String(), in.ListenAt[i]})
	}
	all = append(all, sec.explainPorts(unit, in)...)
	add("Scope", in.Scope.String())
	add("Probe", in.Probe.String())
	add("ProbeTimeoutSec", timespan(in.ProbeTimeout))
	add("StandbySec", timespan(in.Standby))
	add("DrainSec", timespan(in.Drain))
	guard := "no"
	if in.Guard {
		guard = "yes"
	}
	add("Guard", guard)
	return all, nil
}

// explainPorts returns the private ports by name, or auto.
func (sec *section) explainPorts(unit string, in *Instance) []Setting {
	var last Pos
	if given := sec.values["Port"]; len(given) > 0 {
		last = given[len(given)-1].at
	}
	name, _ := parseUnitName(unit)
	choices, _ := (&reader{section: sec, expand: name.expand}).choices()
	if len(choices) == 0 {
		return []Setting{{"Port", auto, last}}
	}
	var all []Setting
	for _, name := range slices.Sorted(maps.Keys(choices)) {
		c := choices[name]
		all = append(all, Setting{"Port", c.text, c.at})
	}
	return all
}

// timespan says d as a unit file would: "1h 30min", "500ms".
func timespan(d time.Duration) string {
	if d == Infinity {
		return "infinity"
	}
	text := ""
	for _, u := range []struct {
		name string
		of   time.Duration
	}{{"d", day}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}} {
		if n := d / u.of; n > 0 {
			text += fmt.Sprintf(" %d%s", n, u.name)
			d -= n * u.of
		}
	}
	return cmp.Or(strings.TrimPrefix(text, " "), "0")
}
