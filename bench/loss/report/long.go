package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/google/renameio/v2"

	"github.com/switcheroo/switcheroo/bench/loss/judge"
	"github.com/switcheroo/switcheroo/test/load"
)

// Long is the sum of many runs of Switcheroo alone, chunk by chunk.
type Long struct {
	Chunks []Chunk `json:"chunks"`
}

// Chunk is one host's share of it: several services side by side.
type Chunk struct {
	Date        time.Time            `json:"date"`
	Commit      string               `json:"commit"`
	Contender   string               `json:"contender"`
	Servers     []string             `json:"servers"`
	Seed        uint64               `json:"seed"`
	Switches    int                  `json:"switches"`
	Connections map[load.Kind]int64  `json:"connections"`
	Requests    map[load.Kind]int64  `json:"requests"`
	Idle        int64                `json:"idle,omitempty"`  // closed between two requests
	Slowest     time.Duration        `json:"slowest_ns"`      // answer, streams left out
	Stood       int                  `json:"stood,omitempty"` // how often clients themselves stood still
	Kernel      map[string]int64     `json:"kernel,omitempty"`
	Error       string               `json:"error,omitempty"` // why it was not carried to its end
	Lost        map[load.Class]int64 `json:"lost,omitempty"`
	Own         map[load.Class]int64 `json:"own,omitempty"`
	Losses      []judge.Loss         `json:"losses,omitempty"`
}

// Write writes l to a file as JSON, a line a chunk.
func (l *Long) Write(name string) error {
	text := []byte("{\"chunks\": [\n")
	for i, c := range l.Chunks {
		b, err := json.Marshal(c)
		if err != nil {
			return err
		}
		text = append(text, b...)
		if i < len(l.Chunks)-1 {
			text = append(text, ',')
		}
		text = append(text, '\n')
	}
	return renameio.WriteFile(name, append(text, "]}\n"...), 0o644)
}

// Add adds a cell.
func (l *Long) Add(c *judge.Cell, commit string) {
	chunk := Chunk{
		Date: c.Date, Commit: commit, Contender: c.Contender, Servers: c.Servers, Seed: c.Seed, Switches: c.Switches,
		Connections: map[load.Kind]int64{}, Requests: map[load.Kind]int64{}, Lost: c.Lost, Own: c.Own, Losses: c.Losses,
		Idle: c.Idle(), Slowest: c.Slowest(), Stood: c.Stood, Kernel: c.Kernel, Error: c.Error,
	}
	for kind, n := range c.Kinds {
		if n != nil {
			chunk.Connections[kind], chunk.Requests[kind] = n.Connections, n.Requests
		}
	}
	l.Chunks = append(l.Chunks, chunk)
}

// Switches returns how many there were in all.
func (l *Long) Switches() int {
	n := 0
	for _, c := range l.Chunks {
		n += c.Switches
	}
	return n
}

// Lost returns how many connections were lost in all. An idle one that a server
// closed is one: no version of ours is stopped before its connections have
// ended. So is a switch that was not made.
func (l *Long) Lost() int64 {
	var n int64
	for _, c := range l.Chunks {
		n += c.Idle
		if c.Error != "" {
			n++
		}
		for _, m := range c.Lost {
			n += m
		}
	}
	return n
}

// Table writes the sums for people: by contender and server, then by kind of
// client.
func (l *Long) Table(w io.Writer) error {
	type row struct{ contender, server string }
	switches, connections, requests, lost := map[row]int{}, map[load.Kind]int64{}, map[load.Kind]int64{}, map[load.Class]int64{}
	var idle int64
	var slowest time.Duration
	broken := 0
	for _, c := range l.Chunks {
		for _, s := range c.Servers {
			switches[row{c.Contender, s}] += c.Switches / len(c.Servers)
		}
		add(connections, c.Connections)
		add(requests, c.Requests)
		add(lost, c.Lost)
		idle, slowest = idle+c.Idle, max(slowest, c.Slowest)
		if c.Error != "" {
			broken++
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "contender\tserver\tswitches")
	rows := slices.SortedFunc(maps.Keys(switches), func(a, b row) int {
		return slices.Compare([]string{a.contender, a.server}, []string{b.contender, b.server})
	})
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%d\n", r.contender, r.server, switches[r])
	}
	fmt.Fprintf(t, "all\t\t%d\n\t\t\nclients\tconnections\trequests\n", l.Switches())
	var all, answered int64
	for _, kind := range load.Kinds {
		if connections[kind] > 0 {
			fmt.Fprintf(t, "%s\t%d\t%d\n", kind, connections[kind], requests[kind])
			all, answered = all+connections[kind], answered+requests[kind]
		}
	}
	fmt.Fprintf(t, "all\t%d\t%d\n\t\t\nlost\t\t\n", all, answered)
	for _, class := range load.Classes {
		if class != load.ClientError {
			fmt.Fprintf(t, "%s\t%d\t\n", class, lost[class])
		}
	}
	fmt.Fprintf(t, "closed idle\t%d\t\nhosts where a switch failed\t%d\t\n\t\t\nslowest answer\t%s\t\n", idle, broken, ms(slowest))
	return t.Flush()
}

func add[K comparable](to, from map[K]int64) {
	for k, n := range from {
		to[k] += n
	}
}
