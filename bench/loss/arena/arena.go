// Package arena is where the loss bench lets contenders run: one host with a
// real systemd for the servers, another one for clients, and the clients.
package arena

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/server"
	"github.com/switcheroo/switcheroo/test/host"
)

// The addresses of the two hosts.
const (
	Server4 = "10.9.0.1"
	Server6 = "fd00:9::1"
	Client4 = "10.9.0.2"
	Client6 = "fd00:9::2"
)

// Arena is a host for servers with clients on it and on another. Close it.
type Arena struct {
	Host   *host.Host
	Client *host.Client

	network *host.Network
	swload  string // its path outside of the host
	loads   atomic.Int64
}

// Options say what the servers' host is made of.
type Options struct {
	Files  map[string]string       // by their path there
	Binds  map[string]server.Build // programs, likewise
	Sysctl map[string]string       // below net., "net.ipv4.tcp_migrate_req": "1"
	Units  []string                // to start when all else is done
}

// openTimeout bounds Open where its context does not: programs may have to be
// built.
const openTimeout = 5 * time.Minute

// inside is where the host has the program of the clients.
const inside = "/opt/bench/swload"

// Open builds the programs, boots the host, and returns when its units have
// started. The working directory must be in this module. ctx bounds Open only.
func Open(ctx context.Context, o Options) (*Arena, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	a := &Arena{}
	if err := a.open(ctx, o); err != nil {
		return nil, fmt.Errorf("open the arena: %w", errors.Join(err, a.Close()))
	}
	return a, nil
}

func (a *Arena) open(ctx context.Context, o Options) (err error) {
	if a.swload, err = Build(ctx, server.Build{Package: "github.com/switcheroo/switcheroo/test/load/cmd/swload"}); err != nil {
		return err
	}
	binds := map[string]string{inside: a.swload}
	for path, b := range o.Binds {
		if binds[path], err = Build(ctx, b); err != nil {
			return err
		}
	}
	if a.Host, err = host.Boot(ctx, host.Options{Files: o.Files, Binds: binds}); err != nil {
		return err
	}
	if a.network, err = host.NewNetwork(ctx); err != nil {
		return err
	}
	if err := a.network.Join(ctx, a.Host, Server4+"/24", Server6+"/64"); err != nil {
		return err
	}
	if a.Client, err = a.network.Client(ctx, Client4+"/24", Client6+"/64"); err != nil {
		return err
	}
	if len(o.Sysctl) > 0 {
		args := []string{"sysctl", "-q", "-w"}
		for _, name := range slices.Sorted(maps.Keys(o.Sysctl)) {
			args = append(args, name+"="+o.Sysctl[name])
		}
		if _, err := a.Host.Run(ctx, args...); err != nil {
			return err
		}
	}
	if len(o.Units) > 0 {
		if _, err := a.Host.Systemctl(ctx, append([]string{"start"}, o.Units...)...); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the clients and the hosts.
func (a *Arena) Close() error {
	if a.Client != nil {
		a.Client.Close()
	}
	var err error
	if a.Host != nil {
		err = a.Host.Close()
	}
	if a.network != nil {
		a.network.Close()
	}
	return err
}

// Build returns the path of a program on this machine, which it builds if it
// has not yet. host.Clean removes it.
func Build(ctx context.Context, b server.Build) (string, error) {
	switch {
	case b.Package != "" && b.Path == "":
		return host.Compile(ctx, b.Package)
	case b.Path != "" && b.Package == "":
		return b.Path, nil
	}
	return "", fmt.Errorf("a program is a path or a package, and not both: %+v", b)
}
