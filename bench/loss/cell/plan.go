// Package cell runs one cell of the loss bench: a contender that replaces the
// versions of one or more servers, on a host of its own, while clients look on.
package cell

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/contender"
	"github.com/switcheroo/switcheroo/bench/loss/judge"
	"github.com/switcheroo/switcheroo/bench/loss/server"
	"github.com/switcheroo/switcheroo/test/load"
)

// Plan says what to run. The same Seed makes the same pauses.
type Plan struct {
	Contender contender.Contender
	// Kinds are the servers, one a service. Services are switched side by side.
	Kinds    []server.Kind
	Switches int // of each service
	Seed     uint64
	// Rest is the mean pause between two switches of a service; 0: none.
	Rest time.Duration
	// Alone has each switch of a service wait until the old version of the one
	// before is gone.
	Alone bool
	// Lead and Tail are how long clients look on before the first switch and
	// after the last old version is gone.
	Lead, Tail time.Duration
	// Samples records how long each request took.
	Samples bool
	// Switched, if not nil, is told of each switch, from several goroutines.
	Switched func(judge.Switch)
	// Inspect, if not nil, looks at the arena when all is over.
	Inspect func(context.Context, *arena.Arena) error
	// Adjust, if not nil, changes the load of each service.
	Adjust func(*load.Config)
}

// firstPort is the public port of the first service.
const firstPort = 8081

// String returns "switcheroo-nft: quick, nginx".
func (p Plan) String() string {
	var names []string
	for _, k := range p.Kinds {
		names = append(names, k.Name)
	}
	return p.Contender.Name() + ": " + strings.Join(names, ", ")
}

func (p Plan) check() error {
	switch {
	case len(p.Kinds) == 0:
		return errors.New("no servers")
	case p.Switches < 1:
		return fmt.Errorf("%d switches: want 1 or more", p.Switches)
	}
	for _, k := range p.Kinds {
		if err := p.Contender.Supports(k); err != nil {
			return fmt.Errorf("%s cannot run %s: %w", p.Contender.Name(), k.Name, err)
		}
	}
	return nil
}

// services gives each server its name and public port.
func (p Plan) services() []contender.Service {
	var all []contender.Service
	for i, k := range p.Kinds {
		all = append(all, contender.Service{Name: fmt.Sprintf("s%d", i+1), Kind: k, Port: uint16(firstPort + i)})
	}
	return all
}
