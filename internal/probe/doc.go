// Package probe asks whether a server is ready: whether it accepts a TCP
// connection, or answers an HTTP request. A probe connects straight to the
// private port, from this host, and leaves nothing behind but a connection
// that it has closed in order.
// Each function makes one attempt, for as long as its context allows; how often
// to try is up to the caller.
package probe
