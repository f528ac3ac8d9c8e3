// Package api is the control socket as values: what goes over it, and a
// [Client] for it. docs/api.md describes each route.
//
// All of it is JSON over HTTP on the unix socket [Socket]. Field names are
// lower case with underscores; a field that does not apply is left out. A time
// is a string as in RFC 3339, in UTC. A duration is a number of seconds, perhaps
// with a fraction, or the string "infinity" (see [Duration]).
//
//	c := api.NewClient(api.Socket)
//	services, err := c.Services(ctx, api.Select{})
package api

// Socket is where the daemon listens.
const Socket = "/run/switcheroo/control.sock"

// Version is the first part of every path but /metrics.
const Version = "/v1"
