package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/config"
)

func checkVerb() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "check [options] [FILE...]",
		Short: "look for mistakes in unit files, installed or not",
		Long: `Look for mistakes in the [X-Switcheroo] section of unit files. They need not be
installed, and no daemon is needed: drop-ins are looked for beside each file, in
FILE.d, and of a folder all units are taken. myapp@v1.service checks
myapp@.service as that instance. Two services among the files that claim one
port are a mistake, too.

Without FILE the daemon looks at all units that systemd has loaded, and at all
templates.

The exit status is 1 if there is a mistake.`,
		Example: "  switcheroo check packaging/myapp@.service\n  switcheroo check deploy/units/",
		Args:    arguments(0, -1, "[FILE...]"),
		RunE:    o.verb(checkRun),
	}
	o.flags(cmd)
	return cmd
}

func checkRun(ctx context.Context, s *session, files []string) error {
	var found *api.Checked
	var without []string // units that have no section
	var err error
	if len(files) == 0 {
		found, err = s.client.Check(ctx, api.Check{})
		if errors.As(err, new(*api.UnreachableError)) {
			return hinted{plainly(err), `without it, name the files: "switcheroo check FILE..."`}
		}
	} else {
		found, without, err = checkFiles(files)
	}
	if err != nil {
		return err
	}
	switch {
	case s.json.on():
		err = s.value(found)
	default:
		s.findings(found, without)
	}
	if err == nil && len(found.Findings) > 0 {
		return ended(exitError)
	}
	if len(found.Units) == 0 && len(files) > 0 {
		s.show(ctx)
		return hinted{errors.New("no unit has an [X-Switcheroo] section"), `begin with "[X-Switcheroo]" and "Listen=443"; see switcheroo.unit(5)`}
	}
	return err
}

// findings prints what is wrong.
func (s *session) findings(found *api.Checked, without []string) {
	for _, f := range found.Findings {
		// Not cut: it is what there is to read.
		s.page.WriteString(f.Message + "\n")
	}
	if s.quiet {
		return
	}
	for _, name := range without {
		s.lines(line{{name + ": no [X-Switcheroo] section", faint}})
	}
	if s.noLegend || len(found.Units) == 0 {
		return
	}
	sum := line{{count(len(found.Units), "unit") + ", no mistake", good}}
	if n := len(found.Findings); n > 0 {
		sum = line{{count(len(found.Units), "unit") + ", " + count(n, "mistake"), broken}}
	}
	s.lines(sum)
}

// checkFiles looks at files as config does.
func checkFiles(names []string) (found *api.Checked, without []string, err error) {
	units, err := unitsOf(names)
	if err != nil {
		return nil, nil, err
	}
	found = &api.Checked{Units: []string{}, Findings: []api.Finding{}}
	var claims []*config.Instance
	for _, u := range units {
		in, err := config.ParseInstance(u.name, u.files)
		var mistakes config.Errors
		switch {
		case errors.As(err, &mistakes):
			for _, m := range mistakes {
				found.Findings = append(found.Findings, api.Finding{Unit: u.name, Message: m.Error()})
			}
		case err != nil:
			return nil, nil, fmt.Errorf("check %s: %w", u.name, err)
		case in == nil:
			if !u.found { // in a folder there are others, too
				without = append(without, u.path)
			}
			continue
		default:
			claims = append(claims, in)
		}
		found.Units = append(found.Units, u.name)
	}
	for _, c := range config.Conflicts(claims) {
		found.Findings = append(found.Findings, api.Finding{Unit: c.Refused.Unit, Message: c.Err().Error()})
	}
	return found, without, nil
}

// templateOf returns the template of an instance, "" if it is none.
func templateOf(unit string) string {
	prefix, instance, ok := strings.Cut(strings.TrimSuffix(unit, ".service"), "@")
	if !ok || instance == "" {
		return ""
	}
	return prefix + "@.service"
}
