package main

import (
	"context"
	"errors"

	"github.com/switcheroo/switcheroo/internal/control"
	"github.com/switcheroo/switcheroo/internal/controller"
	"github.com/switcheroo/switcheroo/internal/hold"
	"github.com/switcheroo/switcheroo/internal/nat"
	"github.com/switcheroo/switcheroo/internal/nat/companion"
)

// gate is where connections of paused services wait: the table has the rules
// that hold them, and the holder what they hold.
type gate struct {
	table  *companion.Table
	holder *hold.Holder
}

// holds returns what the table is to hold, with the queue where it waits.
func (g gate) holds(want []nat.Hold) ([]companion.Hold, error) {
	if len(want) == 0 {
		return nil, nil
	}
	number, err := g.holder.Prepare(want)
	if err != nil {
		return nil, err
	}
	all := make([]companion.Hold, len(want))
	for i, h := range want {
		all[i] = companion.Hold{Hold: h, Queue: number}
	}
	return all, nil
}

func (g gate) Holds(ctx context.Context) ([]nat.Held, error) { return g.table.Holds(ctx) }

func (g gate) Release(ctx context.Context, service string) (controller.LetGo, error) {
	done, err := g.holder.Release(ctx, service)
	if errors.Is(err, hold.ErrNotHeld) {
		err = nil // the daemon has just come back: nothing waits
	}
	return controller.LetGo(done), err
}

// Waiting is what waits, and what had to, by service.
func (g gate) Waiting() map[string]control.Waiting {
	all := map[string]control.Waiting{}
	for name, w := range g.holder.Waiting() {
		all[name] = control.Waiting(w)
	}
	return all
}
