package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

// The stage's names and addresses, which are those for documentation.
const (
	hostName   = "web1"
	host4      = "192.0.2.10"
	host6      = "2001:db8::10"
	client4    = "192.0.2.20"
	client6    = "2001:db8::20"
	publicPort = "443"
)

// Files of the stage's host.
const (
	unitDir      = "/etc/systemd/system/"
	unitFile     = unitDir + "myapp@.service"
	demoDropIn   = unitDir + "myapp@.service.d/demo.conf"
	v3DropIn     = unitDir + "myapp@v3.service.d/demo.conf"
	loadOnHost   = "/opt/load"
	serverOnHost = "/opt/server"
)

// dieAfter is how long v4 lives after its READY=1.
const dieAfter = 2 * time.Second

const dropIn = `# Shorter times, so that a demo keeps nobody waiting.
[X-Switcheroo]
# how long the old version is kept warm after a switch (by default 10s)
StandbySec=3s
# how long its connections may then take to end (by default 5min)
DrainSec=20s
`

const v3Timeout = `[Service]
TimeoutStartSec=3s
`

// versions are the servers of myapp, one a version.
var versions = []struct{ name, args, about string }{
	{"v1", "", "works"},
	{"v2", "", "works"},
	{"v3", "-mode never-ready", "never says that it is ready"},
	{"v4", fmt.Sprintf("-die-after %s", dieAfter), fmt.Sprintf("crashes %s after it was ready", human(dieAfter))},
}

// stage is one host that systemd runs, and a place to dial it from.
type stage struct {
	host    *host.Host
	network *host.Network
	client  *host.Client
	load    string // swload's path at the client
	ipv6    bool
	booted  time.Duration // how long the boot took
	systemd string        // its version
}

// set makes the stage. The caller closes it.
func set(ctx context.Context, root string, b binaries) (*stage, error) {
	s := &stage{load: b.load}
	if err := s.set(ctx, root, b); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) set(ctx context.Context, root string, b binaries) error {
	files, err := hostFiles(root)
	if err != nil {
		return err
	}
	begin := time.Now()
	s.host, err = host.Boot(ctx, host.Options{
		Name:  hostName,
		Files: files,
		Binds: map[string]string{"/usr/sbin/switcherood": b.shown, serverOnHost: b.server, loadOnHost: b.load},
	})
	if err != nil {
		return hinted{err, "if this is a container, it must be one with --privileged --cgroupns=private; else please report it"}
	}
	s.booted = time.Since(begin)
	if s.network, err = host.NewNetwork(ctx); err != nil {
		return err
	}
	_, err = os.Stat("/proc/net/if_inet6")
	s.ipv6 = err == nil
	if err := s.network.Join(ctx, s.host, s.addresses(host4, host6)...); err != nil {
		return err
	}
	if s.client, err = s.network.Client(ctx, s.addresses(client4, client6)...); err != nil {
		return err
	}
	says, err := s.host.Systemctl(ctx, "--version")
	if err != nil {
		return err
	}
	s.systemd, _, _ = strings.Cut(says, " (") // systemd 252 (252.38-1~deb12u1)
	return nil
}

// addresses returns what of the two this machine's kernel has a family for.
func (s *stage) addresses(four, six string) []string {
	if !s.ipv6 {
		return []string{four + "/24"}
	}
	return []string{four + "/24", six + "/64"}
}

// hostFiles returns what is on the host before it boots.
func hostFiles(root string) (map[string]string, error) {
	files := map[string]string{demoDropIn: dropIn, v3DropIn: v3Timeout}
	for there, here := range map[string]string{
		unitDir + daemonUnit: "packaging/systemd/" + daemonUnit,
		unitFile:             "examples/myapp@.service",
	} {
		b, err := os.ReadFile(filepath.Join(root, here))
		if err != nil {
			return nil, err
		}
		files[there] = string(b)
	}
	for _, v := range versions {
		files["/opt/myapp/"+v.name+"/server"] = fmt.Sprintf("#!/bin/sh\nexec %s -listen :0 -version %s %s\n", serverOnHost, v.name, v.args)
	}
	return files, nil
}

// close removes all of the stage that was set.
func (s *stage) close() error {
	if s.client != nil {
		s.client.Close()
	}
	var err error
	if s.host != nil {
		err = s.host.Close()
	}
	if s.network != nil {
		s.network.Close()
	}
	return err
}
