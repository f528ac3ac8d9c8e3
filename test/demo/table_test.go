package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/test/load"
)

// sample is a result with 22 failures of v4's own and, if lost, another.
func sample(lost bool) *result {
	counters := func(connections, requests int64, slowest time.Duration) *load.Counters {
		c := &load.Counters{Connections: connections, Requests: requests}
		c.Connects.Add(slowest)
		return c
	}
	all := &load.Result{
		Start: at(0).UnixNano(), End: at(21.5).UnixNano(),
		Kinds: map[load.Kind]*load.Counters{
			load.Short:     counters(10791, 10776, 55*time.Millisecond),
			load.KeepAlive: counters(6517, 325225, 19*time.Millisecond),
			load.Stream:    counters(1, 1, 300*time.Microsecond),
		},
	}
	fail := func(f load.Failure, n int64) {
		for range n {
			all.Failures = append(all.Failures, f)
		}
		c := all.Kinds[f.Kind]
		if c.Failures == nil {
			c.Failures = map[load.Class]int64{}
		}
		c.Failures[f.Class] += n
	}
	fail(failed(load.Refused, "", at(12.1), at(12.1)), 15)
	fail(load.Failure{Kind: load.KeepAlive, Class: load.ResetAfter, Version: "v4", Began: at(11).UnixNano(), Time: at(12).UnixNano()}, 4)
	fail(load.Failure{Kind: load.KeepAlive, Class: load.ResetBefore, Version: "v4", Began: at(11).UnixNano(), Time: at(12).UnixNano()}, 3)
	if lost {
		fail(load.Failure{
			Kind: load.KeepAlive, Class: load.TimedOut, Phase: load.Wait, Began: at(3).UnixNano(), Time: at(13).UnixNano(),
			Local: "192.0.2.20:40001", Remote: "192.0.2.10:443", Request: 7, Version: "v1", Message: "i/o timeout",
		}, 1)
	}
	local := &load.Result{Kinds: map[load.Kind]*load.Counters{load.Short: counters(8592, 8592, 0)}}
	return newResult(all, local, times{
		Switch: 31 * time.Millisecond, Drain: 6200 * time.Millisecond, BackAfter: 24 * time.Millisecond,
		SwitchToV4: 29 * time.Millisecond, trial: life,
	}, 22*time.Second)
}

func TestTable(t *testing.T) {
	var b strings.Builder
	r := sample(false)
	r.table(&b)
	r.details(&b)
	(&screen{w: &b}).verdict(r)
	want := `                           short  keep-alive      stream         all
connections               10,791       6,517           1      17,309
requests answered         10,776     325,225           1     336,002
slowest connect            55 ms       19 ms      0.3 ms       55 ms
lost
  refused                      0           0           0           0
  timed out                    0           0           0           0
  reset                        0           0           0           0
  ended early                  0           0           0           0
  wrong bytes                  0           0           0           0
  SYN sent again               0           0           0           0

v4's own: 22 connections that it held when it crashed, or that came in the 24 ms
until the port led to v2 again: 15 refused, 7 reset.

switch to v2             31 ms   from READY=1 until the port led to it
drain of v1              6.2 s   from the switch until its last connection ended
switch to v4             29 ms   from READY=1 until the port led to it
switch back to v2        24 ms   from the death of v4 until the port led to v2

Nothing was lost: 17,309 connections (8,592 of them from web1 itself), 336,002
requests, in 21.5 s.
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > width+1 {
			t.Errorf("wider than %d: %s", width, line)
		}
	}
}

func TestTableOfALoss(t *testing.T) {
	var b strings.Builder
	r := sample(true)
	r.table(&b)
	r.details(&b)
	(&screen{w: &b}).verdict(r)
	for _, want := range []string{
		"\n  timed out                    0           1           0           1\n",
		"timed-out in wait of request 7, 192.0.2.20:40001 to 192.0.2.10:443 after 10s: i/o timeout",
		"\nLOST: 1 of 17,309 connections.\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in:\n%s", want, b.String())
		}
	}
}

func TestResultJSON(t *testing.T) {
	got, err := json.MarshalIndent(sample(true), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "ok": false,
  "seconds": 22,
  "connections": 17309,
  "requests": 336002,
  "lost": {
    "client": 0,
    "early-end": 0,
    "other": 0,
    "refused": 0,
    "reset-after-byte": 0,
    "reset-before-byte": 0,
    "syn-retransmitted": 0,
    "timed-out": 1,
    "unreachable": 0,
    "wrong-bytes": 0
  },
  "held_or_refused_by_v4": {
    "client": 0,
    "early-end": 0,
    "other": 0,
    "refused": 15,
    "reset-after-byte": 4,
    "reset-before-byte": 3,
    "syn-retransmitted": 0,
    "timed-out": 0,
    "unreachable": 0,
    "wrong-bytes": 0
  },
  "slowest_connect_ms": 55,
  "switch_ms": 31,
  "drain_ms": 6200,
  "back_after_death_ms": 24
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}
