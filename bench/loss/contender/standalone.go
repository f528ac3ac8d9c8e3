package contender

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// Standalone is `switcheroo run`, with no daemon: each version is started by one
// of its own, which switches to it and sees the one before out. systemd only
// starts it, and is told when it has switched.
type Standalone struct{}

func (Standalone) Name() string { return "switcheroo-run" }

func (Standalone) About() string {
	return "switcheroo run -- SERVER, once a version and with no daemon: it moves the public port (iptables-nft) and ends the one before when that is drained"
}

func (Standalone) Ours() bool { return true }

func (Standalone) Supports(k server.Kind) error {
	if in := standaloneListen(k); in.How == server.Number && strings.Contains(k.Service(in), "ExecStartPre=") {
		return errors.New(k.Name + " has a configuration file to be made for its port, which switcheroo run chooses")
	}
	return supports(k, server.Activation|server.Number, "a private port")
}

// standaloneListen is how run tells a server where to listen: by a listener if
// it takes one, else by a number in its arguments.
func standaloneListen(k server.Kind) server.Listen {
	if k.Takes&server.Activation != 0 {
		return server.Listen{How: server.Activation}
	}
	return server.Listen{How: server.Number, Port: "{port}"}
}

func (c Standalone) Prepare(services []Service) (Preparation, error) {
	p := prepare(services, func(s Service) map[string]string {
		return map[string]string{"/etc/systemd/system/" + s.Name + "@.service": standaloneUnit(s)}
	})
	p.Binds["/usr/bin/switcheroo"] = server.Build{Package: "github.com/switcheroo/switcheroo/cmd/switcheroo"}
	return p, nil
}

// standaloneUnit runs the server's own ExecStart= behind switcheroo run, which
// by READY=1 says that new connections go to it.
func standaloneUnit(s Service) string {
	notify := ""
	if s.Kind.Notify {
		notify = " --notify"
	}
	run := fmt.Sprintf("ExecStart=/usr/bin/switcheroo run --listen %d --name %s --ports 61000-64999 --standby 0 --drain 10min%s -- ", s.Port, s.Name, notify)
	lines := strings.Replace(s.Kind.Service(standaloneListen(s.Kind)), "ExecStart=", run, 1)
	lines = strings.Replace(lines, "NotifyAccess=all\n", "", 1) // that is for run to judge
	return "[Unit]\nStartLimitIntervalSec=0\nCollectMode=inactive-or-failed\n\n[Service]\nType=notify\nKillMode=mixed\n" + lines
}

func (c Standalone) Start(ctx context.Context, a *arena.Arena, s Service, version int) error {
	_, err := c.Switch(ctx, a, s, version)
	return err
}

func (Standalone) Switch(ctx context.Context, a *arena.Arena, s Service, version int) (Times, error) {
	t := Times{Began: time.Now()}
	_, err := a.Host.Systemctl(ctx, "start", instanceName(s, version))
	t.Moved = time.Now()
	return t, err
}

func (Standalone) Settle(ctx context.Context, a *arena.Arena, s Service) error {
	return settleInstances(ctx, a, s)
}
