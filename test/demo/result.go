package main

import (
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// result is what came of the demo. Times in JSON are in milliseconds.
type result struct {
	OK          bool                 `json:"ok"` // nothing was lost
	Seconds     float64              `json:"seconds"`
	Connections int64                `json:"connections"`
	Requests    int64                `json:"requests"`
	Lost        map[load.Class]int64 `json:"lost"`
	Own         map[load.Class]int64 `json:"held_or_refused_by_v4"`
	Slowest     float64              `json:"slowest_connect_ms"`
	Switch      float64              `json:"switch_ms"`
	Drain       float64              `json:"drain_ms"`
	BackAfter   float64              `json:"back_after_death_ms"`

	all, local *load.Result
	times      times
	verdict    verdict
}

func newResult(all, local *load.Result, t times, took time.Duration) *result {
	v := judge(all, t.trial)
	total := all.Total()
	r := &result{
		OK:          v.Lost.total("") == 0,
		Seconds:     took.Seconds(),
		Connections: total.Connections,
		Requests:    total.Requests,
		Lost:        map[load.Class]int64{}, Own: map[load.Class]int64{},
		Slowest: ms(total.Connects.Max()), Switch: ms(t.Switch), Drain: ms(t.Drain), BackAfter: ms(t.BackAfter),
		all: all, local: local, times: t, verdict: v,
	}
	for _, class := range load.Classes {
		if class == load.SlowConnect {
			continue // see never
		}
		r.Lost[class], r.Own[class] = v.Lost.of("", class), v.Own.of("", class)
	}
	return r
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
