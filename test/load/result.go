package load

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kind is a kind of client.
type Kind string

const (
	Short     Kind = "short"
	KeepAlive Kind = "keep-alive"
	Stream    Kind = "stream"
	Echo      Kind = "echo"
	TLS       Kind = "tls"
	WebSocket Kind = "websocket"
	HTTP2     Kind = "http2"
)

// Kinds are all kinds, in the order of the table.
var Kinds = []Kind{Short, KeepAlive, Stream, Echo, TLS, WebSocket, HTTP2}

// Counters are what the clients of one kind saw.
type Counters struct {
	Connections  int64            `json:"connections"` // tried
	Requests     int64            `json:"requests"`    // answered as they should be
	Failures     map[Class]int64  `json:"failures,omitempty"`
	Versions     map[string]int64 `json:"versions,omitempty"`      // that gave these answers
	ServerResets int64            `json:"server_resets,omitempty"` // by the server's own will; no failures
	IdleCloses   int64            `json:"idle_closes,omitempty"`   // by the server, with no request under way; no failures
	BusyPorts    int64            `json:"busy_ports,omitempty"`    // source ports passed over; no failures
	Connects     Histogram        `json:"connects"`                // how long connect took
	Answers      Histogram        `json:"answers"`                 // how long requests took
}

// Merge adds o to c.
func (c *Counters) Merge(o *Counters) {
	c.Connections += o.Connections
	c.Requests += o.Requests
	c.ServerResets += o.ServerResets
	c.IdleCloses += o.IdleCloses
	c.BusyPorts += o.BusyPorts
	for class, n := range o.Failures {
		c.count(class, n)
	}
	for version, n := range o.Versions {
		c.served(version, n)
	}
	c.Connects.Merge(o.Connects)
	c.Answers.Merge(o.Answers)
}

func (c *Counters) count(class Class, n int64) {
	if c.Failures == nil {
		c.Failures = map[Class]int64{}
	}
	c.Failures[class] += n
}

func (c *Counters) served(version string, n int64) {
	if c.Versions == nil {
		c.Versions = map[string]int64{}
	}
	c.Versions[version] += n
}

// Failed returns the number of failures, without those of the client itself.
func (c *Counters) Failed() int64 {
	var n int64
	for class, m := range c.Failures {
		if class != ClientError {
			n += m
		}
	}
	return n
}

// Result is what a run, or several, saw.
type Result struct {
	Start    int64              `json:"start"` // ns since 1970
	End      int64              `json:"end"`
	Kinds    map[Kind]*Counters `json:"kinds"`
	Failures []Failure          `json:"failures,omitempty"` // by time
	LeftOut  int64              `json:"failures_left_out,omitempty"`
	Seed     uint64             `json:"seed,omitempty"` // of the run, or of the first that has one
	Samples  Samples            `json:"samples,omitzero"`
	// Stalls are when the clients themselves stood still, by time: the machine
	// gave them no time, and how long something took then says little about
	// the servers.
	Stalls []Stall `json:"stalls,omitempty"`
}

// maxDetails bounds Result.Failures; all are counted.
const maxDetails = 10_000

// Duration returns how long the run took.
func (r *Result) Duration() time.Duration { return time.Duration(r.End - r.Start) }

// Total returns the counters of all kinds together.
func (r *Result) Total() *Counters {
	var t Counters
	for _, c := range r.Kinds {
		if c != nil {
			t.Merge(c)
		}
	}
	return &t
}

// Failed returns the number of failures, without those of the client itself.
func (r *Result) Failed() int64 { return r.Total().Failed() }

// Valid returns an error if the result says nothing about the servers: nothing
// was answered, or the clients' own machine was in the way.
func (r *Result) Valid() error {
	t := r.Total()
	if n := t.Failures[ClientError]; n > 0 {
		for _, f := range r.Failures {
			if f.Class == ClientError {
				return fmt.Errorf("the clients themselves failed %d times: %s", n, f)
			}
		}
		return fmt.Errorf("the clients themselves failed %d times", n)
	}
	if t.Requests == 0 && t.Failed() == 0 {
		return errors.New("the clients did nothing")
	}
	return nil
}

// Merge adds what another run saw.
func (r *Result) Merge(o *Result) {
	if r.Start == 0 || o.Start != 0 && o.Start < r.Start {
		r.Start = o.Start
	}
	r.End = max(r.End, o.End)
	if r.Kinds == nil {
		r.Kinds = map[Kind]*Counters{}
	}
	for kind, c := range o.Kinds {
		if c == nil {
			continue
		}
		if r.Kinds[kind] == nil {
			r.Kinds[kind] = &Counters{}
		}
		r.Kinds[kind].Merge(c)
	}
	r.LeftOut += o.LeftOut
	if r.Seed == 0 {
		r.Seed = o.Seed
	}
	r.Samples.Merge(o.Samples)
	r.Stalls = mergeStalls(r.Stalls, o.Stalls)
	r.Failures = append(r.Failures, o.Failures...)
	slices.SortStableFunc(r.Failures, func(a, b Failure) int { return int(min(max(a.Time-b.Time, -1), 1)) })
	if extra := len(r.Failures) - maxDetails; extra > 0 {
		r.Failures = r.Failures[:maxDetails]
		r.LeftOut += int64(extra)
	}
}
