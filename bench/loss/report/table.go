package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/judge"
	"github.com/switcheroo/switcheroo/test/load"
)

// classes are the columns: those that are always shown, and others that some
// cell has.
func classes(cells []*judge.Cell) []load.Class {
	return slices.DeleteFunc(slices.Clone(load.Classes), func(class load.Class) bool {
		if class == load.ClientError {
			return true
		}
		rare := class == load.Unreachable || class == load.Other
		return rare && !slices.ContainsFunc(cells, func(c *judge.Cell) bool { return c.Lost[class] > 0 })
	})
}

// Table writes a run for people, a line a cell and one a contender.
func (r *Run) Table(w io.Writer) error {
	if err := r.losses(w); err != nil {
		return err
	}
	for _, c := range r.Cells {
		if c.Error != "" {
			first, _, _ := strings.Cut(c.Error, "\n")
			fmt.Fprintf(w, "ended early: %s with %s: %s\n", c.Contender, strings.Join(c.Servers, "+"), first)
		}
	}
	if len(r.Speeds) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "contender\tconnections/s\trequests/s")
	var told []string
	for _, s := range r.Speeds {
		if !slices.Contains(told, s.Contender) {
			told = append(told, s.Contender)
			m := r.speed(s.Contender)
			fmt.Fprintf(t, "%s\t%.0f\t%.0f\n", m.Contender, m.Connections, m.Requests)
		}
	}
	return t.Flush()
}

func (r *Run) losses(w io.Writer) error {
	cells := r.Cells
	columns := classes(cells)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "contender\tserver\tswitches\thit\tconnections\tclosed idle\tlost")
	for _, class := range columns {
		fmt.Fprint(t, "\t", strings.ReplaceAll(string(class), "-", " "))
	}
	fmt.Fprintln(t, "\tswitch p50\tp99 quiet\taround\tslowest")
	for _, c := range cells {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%d\t%s\t%d", c.Contender, strings.Join(c.Servers, "+"), c.Switches, count(int64(c.Hit)), c.Total().Connections, count(c.Total().IdleCloses), c.Failed())
		for _, class := range columns {
			fmt.Fprintf(t, "\t%s", count(c.Lost[class]))
		}
		fmt.Fprintf(t, "\t%s\t%s\t%s\t%s\n", ms(c.TookP50), ms(c.Latency.Quiet.P99), ms(c.Latency.Around.P99), ms(c.Slowest()))
	}
	return t.Flush()
}

// count leaves the eye with what is not zero.
func count(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func ms(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
