package contender

import (
	"context"
	"fmt"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// Activation is systemd's socket activation: systemd listens on the public
// port for good, and clients wait in its backlog while the service restarts.
type Activation struct{}

func (Activation) Name() string { return "activation" }

func (Activation) About() string {
	return "systemctl restart of a service that gets its listening socket from systemd (Accept=no, Backlog=4096)"
}

func (Activation) Ours() bool { return false }

func (Activation) Supports(k server.Kind) error {
	return supports(k, server.Activation, "a socket that systemd passes")
}

func (Activation) Prepare(services []Service) (Preparation, error) {
	return prepare(services, func(s Service) map[string]string {
		files := alone(s, server.Listen{How: server.Activation})
		// Clients that come during a restart trigger a start each time, and
		// too many of those would make systemd close the socket.
		files["/etc/systemd/system/"+s.Name+".socket"] = fmt.Sprintf(
			"[Socket]\nListenStream=%d\nAccept=no\nBacklog=4096\nTriggerLimitIntervalSec=0\n", s.Port)
		return files
	}), nil
}

func (Activation) Start(ctx context.Context, a *arena.Arena, s Service, version int) error {
	if _, err := a.Host.Systemctl(ctx, "start", s.Name+".socket"); err != nil {
		return err
	}
	_, err := restart(ctx, a, s, version)
	return err
}

// Switch returns when the new one has said that it is ready, or is running if
// it says nothing.
func (Activation) Switch(ctx context.Context, a *arena.Arena, s Service, version int) (Times, error) {
	return restart(ctx, a, s, version)
}

// Settle has nothing to wait for: a restart ends the old one first.
func (Activation) Settle(context.Context, *arena.Arena, Service) error { return nil }
