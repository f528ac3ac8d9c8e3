package host

import (
	"context"
	"os"
	"testing"
	"time"
)

// Start is Boot for tests: the host is closed with the test, after it was
// diagnosed in the test's log if the test failed. As root any error is fatal;
// otherwise the test is skipped, and says why.
func Start(tb testing.TB, opts Options) *Host {
	tb.Helper()
	needRoot(tb)
	h, err := Boot(tb.Context(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			tb.Log(h.Diagnose(ctx))
		}
		if err := h.Close(); err != nil {
			tb.Error(err)
		}
	})
	return h
}

// StartNetwork is NewNetwork for tests.
func StartNetwork(tb testing.TB) *Network {
	tb.Helper()
	needRoot(tb)
	n, err := NewNetwork(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(n.Close)
	return n
}

// StartClient is Client for tests.
func (n *Network) StartClient(tb testing.TB, addrs ...string) *Client {
	tb.Helper()
	c, err := n.Client(tb.Context(), addrs...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func needRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip(Check(""))
	}
}
