package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/doctor"
)

func doctorVerb() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "doctor [options]",
		Short: "look for what goes wrong on this host, and say what to do",
		Long: `Look for what goes wrong in practice, now or at the next step: locks that are
not given back, rules and firewalls of others, private ports that can be reached
from outside, a connection table that fills, units that are killed before they
are done, and more. Each finding comes with what to do about it; nothing is
changed.

Without the daemon it looks at what can be seen without.

The exit status is 11 if something was found.`,
		Example: "  switcheroo doctor\n  switcheroo doctor --json=short",
		Args:    arguments(0, 0, ""),
		RunE:    o.verb(doctorRun),
	}
	o.flags(cmd)
	return cmd
}

// rulesLock and xtablesLock are the locks over rules, the daemon's and that of
// iptables-legacy.
const rulesLock = "/run/switcheroo/rules.lock"

func xtablesLock() string { return cmp.Or(os.Getenv("XTABLES_LOCKFILE"), "/run/xtables.lock") }

func doctorRun(ctx context.Context, s *session, _ []string) error {
	found, err := s.diagnosis(ctx)
	if err != nil {
		return err
	}
	if s.json.on() {
		err = s.value(found)
	} else {
		s.diagnosed(found)
	}
	if err == nil && len(found.Ailments) > 0 {
		return ended(exitIll)
	}
	return err
}

// diagnosis is what the daemon says of this host, with what it cannot see.
func (s *session) diagnosis(ctx context.Context) (*api.Diagnosis, error) {
	d, err := s.client.Doctor(ctx)
	if errors.As(err, new(*api.UnreachableError)) {
		f := doctor.ReadHost(ctx, rulesLock, xtablesLock())
		f.Down = true
		s.privatePorts(ctx, &f)
		for _, name := range doctor.Names() {
			if name != "daemon" && !slices.Contains(doctor.HostChecks, name) {
				f.Unknown[name] = explain(err).Error()
			}
		}
		return doctor.Examine(f), nil
	}
	if err != nil {
		return nil, err
	}
	f := doctor.ReadHost(ctx, rulesLock, xtablesLock())
	s.privatePorts(ctx, &f)
	checks := []string{"ephemeral-range"}
	if len(f.Locks) > 0 { // the daemon may not see whose they are
		checks = append(checks, "locks")
	}
	return doctor.Merge(d, doctor.Examine(f, checks...)), nil
}

// privatePorts adds those that files name.
func (s *session) privatePorts(ctx context.Context, f *doctor.Facts) {
	unknown := func(err error) { f.Unknown["ephemeral-range"] = err.Error() }
	files, err := config.DaemonFiles(config.DaemonPath)
	if err != nil {
		unknown(err)
		return
	}
	// Mistakes in it are the daemon's to tell: its defaults hold then.
	settings, _ := config.ParseDaemon(files)
	f.Private = doctor.Ports{First: settings.PrivatePorts.First, Last: settings.PrivatePorts.Last}
	f.PrivateAt = config.DaemonPath + ": PrivatePorts="
	instances, err := s.client.Instances(ctx, api.Select{})
	if err != nil {
		return // there is no daemon, and PrivatePorts= is all that is known
	}
	for _, in := range instances {
		files, _, err := loaded(ctx, in.Unit)
		if err != nil {
			continue // it is gone
		}
		settings, err := config.ParseInstance(in.Unit, files)
		if err != nil || settings == nil {
			continue // "unit-files" tells
		}
		for _, port := range settings.Ports {
			f.Fixed = append(f.Fixed, doctor.Fixed{Unit: in.Unit, Port: port})
		}
	}
	slices.SortFunc(f.Fixed, func(a, b doctor.Fixed) int {
		return cmp.Or(strings.Compare(a.Unit, b.Unit), cmp.Compare(a.Port, b.Port))
	})
}

// diagnosed prints what was found.
func (s *session) diagnosed(d *api.Diagnosis) {
	moods := map[api.Severity]mood{api.Broken: broken, api.Doubtful: bad}
	counts := map[api.Severity]int{}
	for _, a := range d.Ailments {
		counts[a.Severity]++
		s.lines(line{{string(a.Severity), moods[a.Severity]}, {": " + a.Check, strong}})
		for _, part := range []struct{ lead, text string }{{"where: ", a.Where}, {"what:  ", a.Message}, {"do:    ", a.Remedy}} {
			for _, l := range wrap("  "+part.lead, part.text, 9, s.fold()) {
				s.page.WriteString(l + "\n") // not cut: it is what there is to read
			}
		}
	}
	if s.noLegend || s.quiet {
		return
	}
	for _, e := range d.Checks {
		if e.Result == api.Unknown {
			for _, l := range wrap("not known: ", e.Check+": "+e.Reason, 2, s.fold()) {
				s.lines(line{{l, faint}})
			}
		}
	}
	sum := line{{count(len(d.Checks), "check") + ", nothing wrong", good}}
	if n := len(d.Ailments); n > 0 {
		sum = line{{fmt.Sprintf("%s: %s, %s", count(len(d.Checks), "check"), count(counts[api.Broken], "error"), count(counts[api.Doubtful], "warning")), broken}}
	}
	s.lines(sum)
}
