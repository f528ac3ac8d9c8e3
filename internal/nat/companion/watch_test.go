package companion

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// watcher counts the calls of changed.
type watcher struct {
	calls atomic.Int32
}

func watch(t *testing.T, table *Table) *watcher {
	t.Helper()
	w := &watcher{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- table.Watch(ctx, func() { w.calls.Add(1) }) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Watch: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Watch did not end with its context")
		}
	})
	return w
}

// foreign runs a command as another program's child: the shell's.
func foreign(t *testing.T, n *namespace, command string) {
	t.Helper()
	n.run(t, "sh", "-c", command+"; exit $?")
}

func TestWatch(t *testing.T) {
	const chains = `iptables-nft -w 5 -t nat -N SW-0000000000000001
		iptables-nft -w 5 -t nat -A SW-0000000000000001 -p tcp --dport 443 -j DNAT --to-destination :61000
		iptables-nft -w 5 -t nat -A PREROUTING -j SW-0000000000000001
		ip6tables-nft -w 5 -t nat -N SW-0000000000000001
		iptables-nft -w 5 -t nat -N DOCKER
		nft add table inet other
		nft add chain inet other c
		nft add table ip switcheroo-map`
	for _, test := range []struct {
		command string
		fires   bool
	}{
		{"iptables-nft -w 5 -t nat -F", true},
		{"iptables-nft -w 5 -t nat -R SW-0000000000000001 1 -p tcp --dport 443 -j DNAT --to-destination :61001", true},
		{"iptables-nft -w 5 -t nat -I PREROUTING -p tcp --dport 443 -j ACCEPT", true},
		{"ip6tables-nft -w 5 -t nat -X SW-0000000000000001", true},
		{"nft delete table ip nat", true},
		{"nft flush ruleset", true},
		{"nft add element inet switcheroo private '{ 61009 }'", true},
		{"nft delete table inet switcheroo", true},
		{"nft add chain ip switcheroo-map c", true},
		{"iptables-nft -w 5 -t nat -A DOCKER -p tcp --dport 80 -j RETURN", false},
		{"iptables-nft -w 5 -t filter -A INPUT -p tcp --dport 80 -j ACCEPT", false},
		{"nft add rule inet other c accept", false},
		{"nft add table ip6 other", false},
	} {
		t.Run(test.command, func(t *testing.T) {
			t.Parallel()
			n := newNamespace(t)
			n.run(t, "sh", "-ec", chains)
			table := n.open(t, Options{refused: true})
			apply(t, table, []uint16{61000}, nil)
			w := watch(t, table)

			apply(t, table, []uint16{61000, 61001}, nil) // our own do not count
			foreign(t, n, test.command)
			want := int32(0)
			if test.fires {
				want++
				eventually(t, "no call", w.called(1))
			}
			// The next one that counts shows that nothing else came before it.
			foreign(t, n, "sleep 0.05; nft add table ip switcheroo-last")
			eventually(t, "no call for the last transaction", w.called(want+1))
			if got := w.calls.Load(); got != want+1 {
				t.Errorf("%d calls, want %d", got, want+1)
			}
		})
	}
}

func (w *watcher) called(times int32) func() error {
	return func() error {
		if got := w.calls.Load(); got < times {
			return fmt.Errorf("%d calls, want %d", got, times)
		}
		return nil
	}
}

// TestWatchSeesWhatCameBefore: between Open and Watch nothing is missed, not
// even when the events were too many for the socket.
func TestWatchSeesWhatCameBefore(t *testing.T) {
	var many strings.Builder
	many.WriteString("add table ip other\nadd set ip other s { type inet_service; }\n")
	for port := range 2000 {
		fmt.Fprintf(&many, "add element ip other s { %d }\n", port)
	}
	for name, script := range map[string]string{"one": "add table ip nat", "too many": many.String()} {
		t.Run(name, func(t *testing.T) {
			n := newNamespace(t)
			table := n.open(t, Options{})
			if err := table.events.nl.SetReadBuffer(4096); err != nil {
				t.Fatal(err)
			}
			file := t.TempDir() + "/script"
			if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
				t.Fatal(err)
			}
			foreign(t, n, "nft -f "+file)
			w := watch(t, table)
			eventually(t, "no call", w.called(1))
			foreign(t, n, "nft add table ip switcheroo-last")
			eventually(t, "no call after it", w.called(2))
		})
	}
}

// TestWatchGathers: many transactions ask for few repairs.
func TestWatchGathers(t *testing.T) {
	n := newNamespace(t)
	table := n.open(t, Options{})
	foreign(t, n, "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do nft add table ip switcheroo-$i; done")
	w := watch(t, table)
	eventually(t, "no call", w.called(2)) // at once, and at the end
	time.Sleep(2 * quiet)
	if got := w.calls.Load(); got > 10 {
		t.Errorf("%d calls for 20 transactions", got)
	}
}
