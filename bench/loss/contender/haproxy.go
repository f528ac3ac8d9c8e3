package contender

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// HAProxy is a proxy in front of two slots, which versions take in turn.
type HAProxy struct {
	// Graceful lets the old slot's sessions end before its server is stopped.
	Graceful bool
}

func (c HAProxy) Name() string {
	if c.Graceful {
		return "haproxy-graceful"
	}
	return "haproxy-abrupt"
}

func (c HAProxy) About() string {
	if c.Graceful {
		return "haproxy (mode tcp): new slot ready, old slot draining, old server stopped when that has no session left"
	}
	return "haproxy (mode tcp): new slot ready, old slot in maintenance, old server stopped at once"
}

func (HAProxy) Ours() bool { return false }

func (HAProxy) Supports(k server.Kind) error {
	return supports(k, server.Number, "a numbered port")
}

// haproxyGlobal is Debian's configuration but for logs. There is no maxconn, so
// it has as many connections as its limit of open files has room for. Timeouts
// are longer than any client of the bench is silent.
// There are no health checks: the operator says which slot is ready, once its
// server is, and a check could only be later than that. Where connecting to a
// server fails all the same, another one is tried at once (redispatch).
const haproxyGlobal = `global
	stats socket ` + haproxySocket + ` mode 660 level admin
	stats timeout 10m
	user haproxy
	group haproxy

defaults
	mode tcp
	option redispatch 1
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	timeout tunnel 1h
`

const haproxySocket = "/run/haproxy/admin.sock"

func (HAProxy) Prepare(services []Service) (Preparation, error) {
	p := prepare(services, func(s Service) map[string]string {
		return instances(s, server.Listen{How: server.Number, Port: "${PORT}"})
	})
	var config strings.Builder
	config.WriteString(haproxyGlobal)
	for _, s := range services {
		// A slot gets its port with its first version.
		fmt.Fprintf(&config, "\nlisten %s\n\tbind :::%d v4v6\n", s.Name, s.Port)
		for _, slot := range []string{slot(0), slot(1)} {
			fmt.Fprintf(&config, "\tserver %s 127.0.0.1:1 disabled\n", slot)
		}
	}
	p.Files["/etc/haproxy/haproxy.cfg"] = config.String()
	p.Units = []string{"haproxy.service"}
	return p, nil
}

// slot is the server of haproxy's that a version is.
func slot(version int) string { return string("ab"[version%2]) }

func (c HAProxy) Start(ctx context.Context, a *arena.Arena, s Service, version int) error {
	if err := c.ready(ctx, a, s, version); err != nil {
		return err
	}
	return awaitListener(ctx, a, s.Port)
}

func (c HAProxy) Switch(ctx context.Context, a *arena.Arena, s Service, version int) (Times, error) {
	t := Times{Began: time.Now()}
	if err := c.ready(ctx, a, s, version); err != nil {
		return t, err
	}
	state, old := "maint", s.Name+"/"+slot(version-1)
	if c.Graceful {
		state = "drain"
	}
	if err := haproxy(ctx, a, "set server "+old+" state "+state); err != nil {
		return t, err
	}
	t.Moved = time.Now()
	if c.Graceful {
		if err := c.drained(ctx, a, s, slot(version-1)); err != nil {
			return t, err
		}
		if err := haproxy(ctx, a, "set server "+old+" state maint"); err != nil {
			return t, err
		}
	}
	return t, stopAtOnce(ctx, a, s, version-1)
}

func (HAProxy) Settle(ctx context.Context, a *arena.Arena, s Service) error {
	return settleInstances(ctx, a, s)
}

// ready starts a version and lets its slot have connections.
func (HAProxy) ready(ctx context.Context, a *arena.Arena, s Service, version int) error {
	port, err := startInstance(ctx, a, s, version)
	if err != nil {
		return err
	}
	next := s.Name + "/" + slot(version)
	if err := haproxy(ctx, a, fmt.Sprintf("set server %s addr 127.0.0.1 port %d", next, port)); err != nil {
		return err
	}
	return haproxy(ctx, a, "set server "+next+" state ready")
}

// drained returns when a slot has no session.
func (HAProxy) drained(ctx context.Context, a *arena.Arena, s Service, slot string) error {
	return await(ctx, slowly, s.Name+"/"+slot+" is drained", func() error {
		n, err := sessions(ctx, a, s, slot)
		if err == nil && n != "0" {
			err = fmt.Errorf("it has %s sessions", n)
		}
		return err
	})
}

// sessions returns how many sessions a slot has.
func sessions(ctx context.Context, a *arena.Arena, s Service, slot string) (string, error) {
	// Proxy by name, servers only (4), all of them (-1).
	list, err := haproxyAsk(ctx, a, "show stat "+s.Name+" 4 -1")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(list) {
		f := strings.Split(line, ",") // pxname,svname,qcur,qmax,scur,...
		if len(f) > 4 && f[0] == s.Name && f[1] == slot {
			return f[4], nil
		}
	}
	return "", fmt.Errorf("haproxy has no server %s/%s: %s", s.Name, slot, strings.TrimSpace(list))
}

// haproxy gives haproxy a command. What it answers is a complaint, but for
// what it says of a new address.
func haproxy(ctx context.Context, a *arena.Arena, command string) error {
	said, err := haproxyAsk(ctx, a, command)
	if err != nil {
		return err
	}
	said = strings.TrimSpace(said)
	if said != "" && !strings.Contains(said, "changed") && !strings.HasPrefix(said, "no need to change") {
		return fmt.Errorf("haproxy: %s: %s", command, said)
	}
	return nil
}

// haproxyAsk returns what haproxy answers to a command on its stats socket.
func haproxyAsk(ctx context.Context, a *arena.Arena, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "unix", hostRoot(a)+haproxySocket)
	if err != nil {
		return "", err
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	c.SetDeadline(deadline)
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		return "", fmt.Errorf("haproxy: %s: %w", command, err)
	}
	said, err := io.ReadAll(c)
	if err != nil {
		return "", fmt.Errorf("haproxy: %s: %w", command, err)
	}
	return string(said), nil
}
