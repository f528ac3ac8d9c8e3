package contender

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// ReusePort lets two versions listen on the public port for a moment.
type ReusePort struct {
	// Migrate sets net.ipv4.tcp_migrate_req: what waits in the queues of a
	// listener that closes goes to another one.
	Migrate bool
}

func (c ReusePort) Name() string {
	if c.Migrate {
		return "reuseport-migrate"
	}
	return "reuseport"
}

func (c ReusePort) About() string {
	about := "SO_REUSEPORT: start the new one beside the old one, then stop that at once"
	if c.Migrate {
		about += ", with net.ipv4.tcp_migrate_req=1"
	}
	return about
}

func (ReusePort) Ours() bool { return false }

func (ReusePort) Supports(k server.Kind) error {
	return supports(k, server.ReusePort, "a port with SO_REUSEPORT")
}

func (c ReusePort) Prepare(services []Service) (Preparation, error) {
	p := prepare(services, func(s Service) map[string]string {
		return instances(s, server.Listen{How: server.ReusePort, Port: fmt.Sprint(s.Port)})
	})
	p.Sysctl["net.ipv4.tcp_migrate_req"] = "0"
	if c.Migrate {
		p.Sysctl["net.ipv4.tcp_migrate_req"] = "1"
	}
	return p, nil
}

func (c ReusePort) Start(ctx context.Context, a *arena.Arena, s Service, version int) error {
	return c.join(ctx, a, s, version)
}

// Switch returns when the old listeners are closed: before, each of the two
// versions gets half of the new connections.
func (c ReusePort) Switch(ctx context.Context, a *arena.Arena, s Service, version int) (Times, error) {
	t := Times{Began: time.Now()}
	old, err := listeners(a, s.Port)
	if err != nil {
		return t, err
	}
	if err := c.join(ctx, a, s, version); err != nil {
		return t, err
	}
	if err := stopAtOnce(ctx, a, s, version-1); err != nil {
		return t, err
	}
	err = await(ctx, quickly, "the old version of "+s.Name+" has stopped listening", func() error {
		now, err := listeners(a, s.Port)
		if err == nil && common(old, now) {
			err = errors.New("it has not")
		}
		return err
	})
	t.Moved = time.Now()
	return t, err
}

func (ReusePort) Settle(ctx context.Context, a *arena.Arena, s Service) error {
	return settleInstances(ctx, a, s)
}

// join starts a version and returns when it listens on the public port too.
func (ReusePort) join(ctx context.Context, a *arena.Arena, s Service, version int) error {
	before, err := listeners(a, s.Port)
	if err != nil {
		return err
	}
	if _, err := a.Host.Systemctl(ctx, "start", instanceName(s, version)); err != nil {
		return err
	}
	return await(ctx, quickly, instanceName(s, version)+" listens", func() error {
		now, err := listeners(a, s.Port)
		if err != nil {
			return err
		}
		for inode := range now {
			if !before[inode] {
				return nil
			}
		}
		return errors.New("it does not")
	})
}

// common says whether a and b have an inode in common.
func common(a, b map[string]bool) bool {
	for inode := range a {
		if b[inode] {
			return true
		}
	}
	return false
}
