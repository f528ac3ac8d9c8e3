package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/switcheroo/switcheroo/test/load"
)

// Held is what became of connections that clients kept for longer than
// DrainSec=.
type Held struct {
	Server   string               `json:"server"`
	Switches int                  `json:"switches"`
	Held     int                  `json:"held"` // left at the deadline, by the daemon's log
	Idle     int64                `json:"idle"` // closed between two requests
	Lost     map[load.Class]int64 `json:"lost,omitempty"`
}

// Failed returns how many were lost in a request.
func (h Held) Failed() int64 {
	var n int64
	for _, m := range h.Lost {
		n += m
	}
	return n
}

// HeldTable writes them for people.
func HeldTable(w io.Writer, all []Held) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "server\tswitches\theld\tclosed while idle\tlost in a request\t")
	for _, h := range all {
		var how []string
		for _, class := range slices.Sorted(maps.Keys(h.Lost)) {
			how = append(how, fmt.Sprintf("%d %s", h.Lost[class], class))
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\n", h.Server, h.Switches, h.Held, h.Idle, h.Failed(), strings.Join(how, ", "))
	}
	return t.Flush()
}
