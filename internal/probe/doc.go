// Package probe asks whether a server is ready: whether it accepts a TCP
// connection, or answers an HTTP request. A probe connects straight to the
// private port, from this host, and leaves nothing behind but a connection
// that it has closed in order.
//
//	err := probe.Wait(ctx, func(ctx context.Context) error {
//		return probe.HTTP(ctx, addr, "/healthz")
//	})
package probe
