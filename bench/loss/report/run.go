// Package report shows what the loss bench saw: as a table, as JSON, as plots,
// and as the document that is committed with them.
package report

import (
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/judge"
)

// Run is one run of the bench: the same load and the same judge for every cell.
type Run struct {
	Date    time.Time     `json:"date"`
	Seed    uint64        `json:"seed"`
	Commit  string        `json:"commit"`
	Machine Machine       `json:"machine"`
	Cells   []*judge.Cell `json:"cells"`
	// Speeds are of the first server, several of each contender.
	Speeds []Speed `json:"speeds,omitempty"`
	// Skipped says which contender cannot run which server, and why.
	Skipped []Skip `json:"skipped,omitempty"`
}

// Skip is a cell that cannot be.
type Skip struct {
	Contender string `json:"contender"`
	Server    string `json:"server"`
	Why       string `json:"why"`
}

// Lost returns how many connections our own cells lost. An idle one that a
// server closed is one, as none of ours is stopped before its connections have
// ended; and so is a switch that was not made.
func (r *Run) Lost() int64 {
	var n int64
	for _, c := range r.Cells {
		if c.Ours {
			n += c.Failed() + c.Idle()
			if c.Error != "" {
				n++
			}
		}
	}
	return n
}
