package cell

import (
	"context"
	"fmt"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/contender"
	"github.com/switcheroo/switcheroo/bench/loss/server"
	"github.com/switcheroo/switcheroo/test/load"
)

// Speed is what a contender lets through while nothing is switched, in one
// second, with as many clients as keep the machine busy.
type Speed struct {
	Connections float64 // of short clients, one request each
	Requests    float64 // of keep-alive clients, without pauses
}

// fullClients keep two cores busy.
const fullClients = 16

// Full measures the speed of one server behind a contender, for d each.
func Full(ctx context.Context, c contender.Contender, k server.Kind, d time.Duration) (Speed, error) {
	p := Plan{Contender: c, Kinds: []server.Kind{k}, Switches: 1}
	if err := p.check(); err != nil {
		return Speed{}, err
	}
	r := &run{Plan: p, services: p.services()}
	if err := r.open(ctx); err != nil {
		return Speed{}, fmt.Errorf("%v: %w", p, err)
	}
	defer r.arena.Close()
	var s Speed
	for _, m := range []struct {
		result *float64
		load   load.Config
	}{
		{&s.Connections, load.Config{Short: fullClients}},
		{&s.Requests, load.Config{KeepAlive: fullClients, Requests: 1000}},
	} {
		m.load.Protocol = k.Load.Protocol
		// Here a connect may be slow.
		m.load.Duration, m.load.SlowConnect = d, -1
		seen, err := full(ctx, r.arena, r.services[0], m.load)
		if err != nil {
			return Speed{}, fmt.Errorf("%v at full speed: %w", p, err)
		}
		*m.result = float64(seen.Total().Requests) / seen.Duration().Seconds()
	}
	return s, nil
}

func full(ctx context.Context, a *arena.Arena, s contender.Service, c load.Config) (*load.Result, error) {
	l, err := a.Load(ctx, c, s.Port)
	if err != nil {
		return nil, err
	}
	result, err := l.Wait()
	if err != nil {
		return nil, err
	}
	return result, result.Valid()
}
