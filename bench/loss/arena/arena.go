// Package arena is where the loss bench lets contenders run: one host with a
// real systemd for the servers, another one for clients, and the clients.
package arena

import (
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
}
