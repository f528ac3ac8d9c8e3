package companion

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestGuard(t *testing.T) {
	for _, w := range ways() {
		if w.local {
			continue
		}
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			server, remote := hosts(t)
			table := server.open(t, Options{})
			server.listen(t, ":61000", echo)
			server.listen(t, ":61001", echo)
			w.redirect(t, server, 61000, false)
			loopback := "127.0.0.1:61000"
			if w.ipv6 {
				loopback = "[::1]:61000"
			}

			apply(t, table, []uint16{61000, 61001}, nil)
			early, err := remote.dial(w.private(61000), 0, dialTimeout)
			if err != nil {
				t.Fatal(err)
			}
			defer early.Close()
			apply(t, table, []uint16{61000, 61001}, []uint16{61000})
			if ports, err := table.Guarded(t.Context()); err != nil || len(ports) != 1 || ports[0] != 61000 {
				t.Errorf("guarded are %v, %v", ports, err)
			}
			if err := ping(early); err != nil {
				t.Errorf("a direct connection from before the guard: %v", err)
			}

			check := func(name string, from *namespace, address string, want error) {
				t.Helper()
				c, err := from.dial(address, 0, dialTimeout)
				if err == nil {
					err = ping(c)
					c.Close()
				}
				if !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", name, err, want)
				}
			}
			check("redirected", remote, w.public(), nil)
			check("direct", remote, w.private(61000), unix.ECONNREFUSED)
			check("direct, not guarded", remote, w.private(61001), nil)
			check("loopback", server, loopback, nil)
			check("from this host to its own address", server, w.private(61000), nil)
			server.script(t, "table inet raw { chain p { type filter hook prerouting priority raw; tcp dport 61000 notrack; }; }")
			check("direct, untracked", remote, w.private(61000), unix.ECONNREFUSED)
			server.script(t, "delete table inet raw")

			// The others' order does not matter: an accept is final only in
			// its own chain.
			server.script(t, "table inet first { chain i { type filter hook input priority -300; tcp dport 61000 accept; }; }")
			check("direct, accepted by another chain", remote, w.private(61000), unix.ECONNREFUSED)

			apply(t, table, []uint16{61000, 61001}, nil)
			check("direct, no longer guarded", remote, w.private(61000), nil)
		})
	}
}
