package companion

import (
	"fmt"
	"net"
	"sync"
	"testing"
)

// TestFlush: established connections when another program flushes the rules
// that redirected them, with and without our table.
func TestFlush(t *testing.T) {
	const (
		none   = "no table"
		plain  = "plain table"
		pinned = "owned table"
	)
	const connections = 20
	attacks := map[string]func(t *testing.T, w way, n *namespace){
		"iptables -F":       func(t *testing.T, w way, n *namespace) { w.iptables(t, n, "-t", "nat", "-F") },
		"nft flush ruleset": func(t *testing.T, w way, n *namespace) { n.run(t, "nft", "flush", "ruleset") },
	}
	for _, test := range []struct {
		tool, attack, table string
		broken              int
	}{
		{"iptables-nft", "iptables -F", none, connections},
		{"iptables-nft", "iptables -F", plain, 0},
		{"iptables-nft", "iptables -F", pinned, 0},
		{"iptables-nft", "nft flush ruleset", none, connections},
		{"iptables-nft", "nft flush ruleset", plain, connections}, // kernels before 6.9
		{"iptables-nft", "nft flush ruleset", pinned, 0},
		{"iptables-legacy", "iptables -F", none, connections},
		{"iptables-legacy", "iptables -F", plain, 0},
		{"iptables-legacy", "iptables -F", pinned, 0},
		{"iptables-legacy", "nft flush ruleset", plain, 0}, // the rules of the legacy table remain
		{"iptables-legacy", "nft flush ruleset", pinned, 0},
	} {
		for _, w := range ways() {
			if w.tool != test.tool || test.table != pinned && w.ipv6 != w.local {
				continue // for comparison two ways are enough
			}
			t.Run(fmt.Sprintf("%s/%s/%s", w, test.attack, test.table), func(t *testing.T) {
				t.Parallel()
				server, remote := hosts(t)
				if test.table != none {
					apply(t, server.open(t, Options{refused: test.table == plain}), []uint16{61000}, []uint16{61000})
				}
				w.redirect(t, server, 61000, false)
				server.listen(t, ":61000", echo)
				var open []net.Conn
				for range connections {
					c, err := w.client(server, remote).dial(w.public(), 0, dialTimeout)
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					if err := ping(c); err != nil {
						t.Fatal(err)
					}
					open = append(open, c)
				}
				attacks[test.attack](t, w, server)
				if broken := count(open); broken != test.broken {
					t.Errorf("%d of %d connections broken, want %d", broken, len(open), test.broken)
				}
			})
		}
	}
}

// count returns how many of the connections do not answer.
func count(open []net.Conn) (broken int) {
	var wg sync.WaitGroup
	errs := make([]error, len(open))
	for i, c := range open {
		wg.Go(func() { errs[i] = ping(c) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			broken++
		}
	}
	return broken
}
