package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Table writes the result for people: a row a kind and one for all, a column
// for each class that is in the list or was seen.
func (r *Result) Table(w io.Writer) error {
	total := r.Total()
	classes := slices.DeleteFunc(slices.Clone(Classes), func(c Class) bool {
		return (c == Unreachable || c == Other || c == ClientError) && total.Failures[c] == 0
	})
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "clients\tconnections\trequests\t")
	for _, c := range classes {
		fmt.Fprint(t, strings.ReplaceAll(string(c), "-", " "), "\t")
	}
	fmt.Fprintln(t, "idle closes\tserver's own resets\tconnect p50\tp99\tmax\t")
	row := func(name string, c *Counters) {
		fmt.Fprintf(t, "%s\t%d\t%d\t", name, c.Connections, c.Requests)
		for _, class := range classes {
			fmt.Fprintf(t, "%d\t", c.Failures[class])
		}
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t\n", c.IdleCloses, c.ServerResets,
			ms(c.Connects.Quantile(.5)), ms(c.Connects.Quantile(.99)), ms(c.Connects.Max()))
	}
	for _, k := range Kinds {
		if c := r.Kinds[k]; c != nil {
			row(string(k), c)
		}
	}
	row("all", total)
	if err := t.Flush(); err != nil {
		return err
	}
	served := make([]string, 0, len(total.Versions))
	for _, v := range slices.Sorted(maps.Keys(total.Versions)) {
		served = append(served, fmt.Sprintf("%s %d", v, total.Versions[v]))
	}
	_, err := fmt.Fprintf(w, "served by: %s; in %v%s\n", strings.Join(served, ", "), r.Duration().Round(time.Millisecond), r.note())
	return err
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
}
