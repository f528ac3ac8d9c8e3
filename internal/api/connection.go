package api

import "net/netip"

// Connection is one TCP connection of an instance.
type Connection struct {
	Unit string         `json:"unit"`
	Peer netip.AddrPort `json:"peer"`
	Port uint16         `json:"port"` // the private one
	// State is TCP's: "ESTABLISHED", "CLOSE_WAIT", ...
	State string `json:"state"`
	// Accepted: the server has taken it from its queue.
	Accepted bool `json:"accepted"`
	// Unread are bytes that the server has received and not read, Unsent
	// those that it has written and the peer has not acknowledged.
	Unread uint32 `json:"unread"`
	Unsent uint32 `json:"unsent"`
	// Received and Sent are the bytes since it began, where the kernel tells.
	Received uint64 `json:"received,omitempty"`
	Sent     uint64 `json:"sent,omitempty"`
	// Idle is how long ago data last came or went, where the kernel tells.
	Idle *Duration `json:"idle,omitempty"`
	// AgeAtLeast is how old it is at least: no newer one goes to an instance
	// that is not current. Nobody notes when a connection began.
	AgeAtLeast *Duration `json:"age_at_least,omitempty"`
}
