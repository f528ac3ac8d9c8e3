// Package switcheroo deploys a new version of a TCP server without losing a
// connection: the new process points the public port at itself, and sees the
// old one out.
package switcheroo
