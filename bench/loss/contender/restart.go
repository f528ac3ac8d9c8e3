package contender

import (
	"context"
	"fmt"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// Restart is systemctl restart of a unit that listens on the public port.
type Restart struct{}

func (Restart) Name() string { return "restart" }

func (Restart) About() string {
	return "systemctl restart of the one unit, which listens on the public port itself"
}

func (Restart) Ours() bool { return false }

func (Restart) Supports(k server.Kind) error {
	return supports(k, server.Number, "a numbered port")
}

func (Restart) Prepare(services []Service) (Preparation, error) {
	return prepare(services, func(s Service) map[string]string {
		return alone(s, server.Listen{How: server.Number, Port: fmt.Sprint(s.Port)})
	}), nil
}

func (Restart) Start(ctx context.Context, a *arena.Arena, s Service, version int) error {
	_, err := restart(ctx, a, s, version)
	return err
}

func (Restart) Switch(ctx context.Context, a *arena.Arena, s Service, version int) (Times, error) {
	return restart(ctx, a, s, version)
}

// Settle has nothing to wait for: a restart ends the old one first.
func (Restart) Settle(context.Context, *arena.Arena, Service) error { return nil }

// restart restarts the only unit of a service as another version.
func restart(ctx context.Context, a *arena.Arena, s Service, version int) (Times, error) {
	t := Times{Began: time.Now()}
	if err := a.Host.WriteFile(versionFile(s), "VERSION="+versionName(version)+"\n"); err != nil {
		return t, err
	}
	if _, err := a.Host.Systemctl(ctx, "restart", s.Name+".service"); err != nil {
		return t, err
	}
	err := awaitListener(ctx, a, s.Port)
	t.Moved = time.Now()
	return t, err
}
