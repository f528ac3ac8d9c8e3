package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/config"
)

func catVerb() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "cat [options] SERVICE|INSTANCE",
		Short: "show the settings in force, and the file and line of each",
		Long: `Show the settings of a service's current instance, or of the instance that is
named: every key with its value, specifiers expanded, and the file and line that
it comes from, or that it is the default.`,
		Example:           "  switcheroo cat myapp\n  switcheroo cat myapp@v2 --json",
		Args:              arguments(1, 1, "SERVICE|INSTANCE"),
		RunE:              o.verb(catRun),
		ValidArgsFunction: complete(completeAll, one),
	}
	o.flags(cmd)
	return cmd
}

// effective is what cat prints as JSON.
type effective struct {
	Unit    string `json:"unit"`
	Service string `json:"service"`
	// Stale: files have changed since systemd has loaded them.
	Stale    bool      `json:"stale"`
	Settings []setting `json:"settings"`
}

type setting struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Default bool   `json:"default"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
}

func catRun(ctx context.Context, s *session, args []string) error {
	unit, err := s.unitNamed(ctx, args[0])
	if err != nil {
		return err
	}
	files, stale, err := loaded(ctx, unit)
	if err != nil {
		return err
	}
	settings, err := config.Explain(unit, files)
	if err != nil {
		return hinted{fmt.Errorf("%s has mistakes, and keeps what it had:\n%w", short(unit), err), `mend them, then "systemctl daemon-reload"`}
	}
	if settings == nil {
		return failure{hinted{fmt.Errorf("%s has no [X-Switcheroo] section", unit), "see switcheroo.unit(5)"}, exitNoService}
	}
	e := effective{Unit: unit, Service: settings[0].Value, Stale: stale}
	for _, v := range settings {
		e.Settings = append(e.Settings, setting{Key: v.Key, Value: v.Value, Default: v.At.Line == 0, File: v.At.File, Line: v.At.Line})
	}
	if s.json.on() {
		return s.value(e)
	}
	t := table{legend: []string{"", ""}}
	for _, v := range settings {
		from := span{v.At.String(), plain}
		if v.At.Line == 0 {
			from = span{"default", faint}
		}
		t.add(span{v.Key + "=" + v.Value, plain}, from)
	}
	if !s.noLegend {
		s.lines(line{{"# " + unit, faint}})
	}
	s.lines(t.lines(false)...)
	if stale && !s.quiet {
		s.lines(line{{`# its files have changed on disk: "systemctl daemon-reload" has them read`, bad}})
	}
	return nil
}

// unitNamed returns the unit of an instance, or that of a service which shows
// its settings best: the current one.
func (s *session) unitNamed(ctx context.Context, name string) (string, error) {
	all, err := s.client.Services(ctx, api.Select{})
	if err != nil {
		if away(err) && strings.Contains(name, "@") {
			return full(name), nil // systemd knows it as well
		}
		return "", err
	}
	for i := range all {
		svc := &all[i]
		if svc.Name == name && svc.Current != "" {
			return svc.Current, nil
		}
		if svc.Name == name && len(svc.Instances) > 0 {
			return svc.Instances[0].Unit, nil
		}
	}
	for i := range all {
		if all[i].Instance(full(name)) != nil {
			return full(name), nil
		}
	}
	if strings.Contains(name, "@") && templateOf(full(name)) != "" {
		return full(name), nil // not started yet
	}
	return "", nothing(name, all)
}

// systemctlTimeout bounds a question to systemd.
const systemctlTimeout = 30 * time.Second

// loaded returns the files that systemd has loaded as a unit, and whether they
// have changed since.
func loaded(ctx context.Context, unit string) (files []config.File, stale bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, systemctlTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemctl", "show", "--no-pager", "--property=LoadState,FragmentPath,DropInPaths,NeedDaemonReload", "--", unit)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return nil, false, fmt.Errorf("ask systemd for %s: %w: %s", unit, err, strings.TrimSpace(said.String()))
	}
	properties := map[string]string{}
	for l := range strings.Lines(out.String()) {
		name, value, _ := strings.Cut(strings.TrimRight(l, "\n"), "=")
		properties[name] = value
	}
	if properties["LoadState"] == "not-found" {
		return nil, false, failure{fmt.Errorf("systemd has no unit %s", unit), exitNoService}
	}
	paths := strings.Fields(properties["DropInPaths"])
	if fragment := properties["FragmentPath"]; fragment != "" {
		paths = append([]string{fragment}, paths...)
	}
	for _, path := range paths {
		f, err := readUnit(path)
		if err != nil {
			return nil, false, err
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, false, errors.New(unit + " has no file")
	}
	return files, properties["NeedDaemonReload"] == "yes", nil
}
