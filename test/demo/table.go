package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/switcheroo/switcheroo/test/load"
)

// classNames are the failures in the words of the table, which leaves out the
// rare ones that there are none of.
var classNames = []struct {
	name    string
	classes []load.Class
	rare    bool
}{
	{"refused", []load.Class{load.Refused}, false},
	{"timed out", []load.Class{load.TimedOut}, false},
	{"reset", []load.Class{load.ResetBefore, load.ResetAfter}, false},
	{"ended early", []load.Class{load.EarlyEnd}, false},
	{"wrong bytes", []load.Class{load.WrongBytes}, false},
	{"SYN sent again", []load.Class{load.Retransmitted}, false},
	{"others", []load.Class{load.SlowConnect, load.Unreachable, load.Other, load.ClientError}, true},
}

const (
	nameColumn   = 20
	numberColumn = 12
)

// table writes the result for people.
func (r *result) table(w io.Writer) {
	r.counters(w)
	fmt.Fprintln(w)
	for _, line := range wrap(r.own(), width) {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w)
	for _, t := range []struct{ name, value, about string }{
		{"switch to v2", human(r.times.Switch), "from READY=1 until the port led to it"},
		{"drain of v1", human(r.times.Drain), "from the switch until its last connection ended"},
		{"switch to v4", human(r.times.SwitchToV4), "from READY=1 until the port led to it"},
		{"switch back to v2", human(r.times.BackAfter), "from the death of v4 until the port led to v2"},
	} {
		fmt.Fprintf(w, "%-*s%*s   %s\n", nameColumn, t.name, numberColumn-2, t.value, t.about)
	}
}

// counters writes what the clients saw, and what of it was lost.
func (r *result) counters(w io.Writer) {
	row := func(name string, cell func(load.Kind) string) {
		fmt.Fprintf(w, "%-*s", nameColumn, name)
		for _, k := range []load.Kind{load.Short, load.KeepAlive, load.Stream, ""} {
			fmt.Fprintf(w, "%*s", numberColumn, cell(k))
		}
		fmt.Fprintln(w)
	}
	row("", func(k load.Kind) string {
		if k == "" {
			return "all"
		}
		return string(k)
	})
	row("connections", func(k load.Kind) string { return count(r.of(k).Connections) })
	row("requests answered", func(k load.Kind) string { return count(r.of(k).Requests) })
	row("slowest connect", func(k load.Kind) string { return human(r.of(k).Connects.Max()) })
	fmt.Fprintln(w, "lost")
	for _, c := range classNames {
		if c.rare && sum(r.verdict.Lost, "", c.classes) == 0 {
			continue
		}
		row("  "+c.name, func(k load.Kind) string { return count(sum(r.verdict.Lost, k, c.classes)) })
	}
}

// maxDetails is of how many lost connections the story says what happened.
const maxDetails = 8

// details writes what happened to connections that were lost.
func (r *result) details(w io.Writer) {
	for i, f := range r.verdict.Details {
		if i == maxDetails {
			fmt.Fprintf(w, "... and %s more\n", count(r.verdict.Lost.total("")-maxDetails))
			break
		}
		fmt.Fprintln(w, f)
	}
}

// of returns the counters of one kind of client, or of all for "".
func (r *result) of(k load.Kind) *load.Counters {
	if k == "" {
		return r.all.Total()
	}
	if c := r.all.Kinds[k]; c != nil {
		return c
	}
	return &load.Counters{}
}

// own is the line of the connections that nobody could have saved.
func (r *result) own() string {
	var parts []string
	for _, c := range classNames {
		if n := sum(r.verdict.Own, "", c.classes); n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", count(n), c.name))
		}
	}
	what := ""
	if len(parts) > 0 {
		what = ": " + strings.Join(parts, ", ")
	}
	return fmt.Sprintf("v4's own: %s connections that it held when it crashed, or that came in the %s until the port led to v2 again%s.",
		count(r.verdict.Own.total("")), human(r.times.BackAfter), what)
}

func sum(t tally, k load.Kind, classes []load.Class) int64 {
	var n int64
	for _, c := range classes {
		n += t.of(k, c)
	}
	return n
}

// bottomLine says in one line what the demo is about.
func (r *result) bottomLine() string {
	if r.OK {
		return fmt.Sprintf("Nothing was lost: %s connections (%s of them from %s itself), %s requests, in %s.",
			count(r.Connections), count(r.local.Total().Connections), hostName, count(r.Requests), human(r.all.Duration()))
	}
	return fmt.Sprintf("LOST: %s of %s connections.", count(r.verdict.Lost.total("")), count(r.Connections))
}
