package doctor

import (
	"slices"

	"github.com/switcheroo/switcheroo/internal/api"
)

// check is one thing to look at.
type check struct {
	name  string
	about string
	look  func(*Facts) []api.Ailment
}

// checks are all of them, in the order in which they are told: what stops
// everything comes first.
var checks = []check{
	{"daemon", "whether switcherood runs, and does what it has to", daemon},
	{"locks", "whether another program keeps the lock over rules", locks},
	{"library-endpoint", "endpoints that a program with the library, or switcheroo run, holds", claimed},
	{"foreign-nat", "NAT rules of others ahead of ours on public ports", foreignNAT},
	{"firewall", "host firewalls that name a public port, or drop by default", firewall},
	{"private-port", "private ports that can be reached from outside", exposed},
	{"conntrack-table", "how full the table of connections is", conntrack},
	{"mixed-tables", "rules in both iptables-legacy and iptables-nft", mixed},
	{"ipv6-nat", "whether IPv6 is redirected where the host has it", ipv6},
	{"ephemeral-range", "private ports that the kernel may hand out to others", ephemeral},
	{"unit-files", "mistakes in [X-Switcheroo] sections", mistakes},
	{"daemon-reload", "unit files that have changed since systemd has loaded them", stale},
	{"unit-order", "units without After=switcherood.service", ordered},
	{"stop-timeout", "units that systemd kills before they are done", stopTimeout},
}

// Names returns the names of all checks.
func Names() []string {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.name
	}
	return names
}

// Examine judges the facts: by the checks named, or by all.
func Examine(f Facts, names ...string) *api.Diagnosis {
	d := &api.Diagnosis{Ailments: []api.Ailment{}, Checks: []api.Examination{}}
	for _, c := range checks {
		if len(names) > 0 && !slices.Contains(names, c.name) {
			continue
		}
		e := api.Examination{Check: c.name, About: c.about, Result: api.Healthy}
		if why, unknown := f.Unknown[c.name]; unknown {
			e.Result, e.Reason = api.Unknown, why
			d.Checks = append(d.Checks, e)
			continue
		}
		found := c.look(&f)
		for i := range found {
			found[i].Check = c.name
		}
		if len(found) > 0 {
			e.Result = api.Ill
		}
		d.Ailments = append(d.Ailments, found...)
		d.Checks = append(d.Checks, e)
	}
	return d
}

// Merge puts what by has to say of its checks in the place of what d says of
// them.
func Merge(d, by *api.Diagnosis) *api.Diagnosis {
	all := &api.Diagnosis{Ailments: []api.Ailment{}, Checks: []api.Examination{}}
	for _, name := range Names() {
		from := d
		for _, e := range by.Checks {
			if e.Check == name {
				from = by
			}
		}
		for _, e := range from.Checks {
			if e.Check == name {
				all.Checks = append(all.Checks, e)
			}
		}
		for _, a := range from.Ailments {
			if a.Check == name {
				all.Ailments = append(all.Ailments, a)
			}
		}
	}
	return all
}
