package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/switcheroo/switcheroo"
)

// listTimeout is for reading the rules, or removing some.
const listTimeout = 30 * time.Second

// list prints the services of this host, or the one that o names.
func list(ctx context.Context, o runOptions, steps *steps, stdout io.Writer) error {
	services, err := services(ctx, o, steps)
	if err != nil {
		return err
	}
	if o.json == "pretty" || o.json == "short" {
		return printJSON(stdout, o.json, services)
	}
	return printTable(stdout, services)
}

func services(ctx context.Context, o runOptions, steps *steps) ([]switcheroo.Service, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	all, err := switcheroo.List(ctx, switcheroo.Options{Log: steps.log()})
	if err != nil || o.name == "" {
		return all, err
	}
	for _, s := range all {
		if s.Name == o.name {
			return []switcheroo.Service{s}, nil
		}
	}
	return nil, noService(o.name, all)
}

func noService(name string, all []switcheroo.Service) error {
	hint := "nothing is served by switcheroo run now"
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	if len(names) > 0 {
		hint = "there is " + strings.Join(names, ", ")
	}
	return failure{hinted{fmt.Errorf("no service %q", name), hint}, exitNoService}
}

// state says what a process is to its service.
func state(p switcheroo.Process) string {
	switch {
	case !p.Alive && p.Current:
		return "gone; clients are refused"
	case !p.Alive:
		return "gone"
	case p.Current:
		return "current"
	case p.Told:
		return "told to end"
	}
	return "finishing"
}

func printTable(w io.Writer, services []switcheroo.Service) error {
	if len(services) == 0 {
		_, err := fmt.Fprintln(w, "Nothing is served by switcheroo run.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tLISTEN\tPROCESS\tPORT\tSTATE")
	for _, s := range services {
		name, public := s.Name, strings.Join(s.Listen, ",")
		for _, p := range s.Processes {
			what := state(p)
			if p.Since > 0 && p.Alive {
				what += " for " + human(p.Since)
			}
			fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\n", name, public, p.PID, p.Port, what)
			name, public = "", ""
		}
		if len(s.Processes) == 0 {
			fmt.Fprintf(table, "%s\t%s\t-\t-\t%s\n", name, public, "nobody; clients are refused")
		}
	}
	return table.Flush()
}

// listed is a service in JSON.
type listed struct {
	Name      string          `json:"name"`
	Listen    []string        `json:"listen"`
	Scope     string          `json:"scope"`
	Processes []listedProcess `json:"processes"`
}

type listedProcess struct {
	PID     int     `json:"pid"`
	Port    int     `json:"port"`
	State   string  `json:"state"`
	Alive   bool    `json:"alive"`
	Current bool    `json:"current"`
	Told    bool    `json:"told_to_end"`
	Since   float64 `json:"seconds_since_current"`
}

func printJSON(w io.Writer, form jsonForm, services []switcheroo.Service) error {
	all := []listed{}
	for _, s := range services {
		l := listed{Name: s.Name, Listen: s.Listen, Scope: scopeValue(s.Scope).String(), Processes: []listedProcess{}}
		for _, p := range s.Processes {
			l.Processes = append(l.Processes, listedProcess{p.PID, p.Port, state(p), p.Alive, p.Current, p.Told, p.Since.Seconds()})
		}
		all = append(all, l)
	}
	out := json.NewEncoder(w)
	if form == "pretty" {
		out.SetIndent("", "  ")
	}
	return out.Encode(all)
}

// cleanup removes the rules of the service that o names.
func cleanup(ctx context.Context, o runOptions, steps *steps) error {
	found, err := services(ctx, o, steps)
	if err != nil {
		return err
	}
	for _, p := range found[0].Processes {
		if p.Alive && p.Current {
			steps.say(bad, "process %s still runs: it keeps the connections that it has", strconv.Itoa(p.PID))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	if err := switcheroo.Cleanup(ctx, switcheroo.Options{Name: o.name, Log: steps.log()}); err != nil {
		return err
	}
	steps.say(plain, "its rules are removed: clients of %s are refused", strings.Join(found[0].Listen, ", "))
	return nil
}
