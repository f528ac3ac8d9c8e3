//go:build chaos

package e2e

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// happened is something that was seen on the host.
type happened struct {
	at   time.Time
	what string
}

// trace remembers what the kernel told of changes to nftables, and when.
type trace struct {
	mu    sync.Mutex
	lines []happened
}

// maxTrace bounds a trace: a round of two minutes is about a tenth of it.
const maxTrace = 200_000

// monitor traces until the test is over.
func (s *stage) monitor() *trace {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	cmd := s.host.Cmd(ctx, "stdbuf", "-oL", "nft", "monitor")
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	var tr trace
	done := make(chan struct{})
	go func() {
		defer close(done)
		for in := bufio.NewScanner(out); in.Scan(); {
			tr.add(happened{time.Now(), "nft: " + in.Text()})
		}
	}()
	s.Cleanup(func() {
		cancel()
		<-done
		cmd.Wait()
	})
	return &tr
}

func (t *trace) add(h happened) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) < maxTrace {
		t.lines = append(t.lines, h)
	}
}

func (t *trace) between(from, to time.Time) []happened {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(t.lines), func(h happened) bool { return h.at.Before(from) || h.at.After(to) })
}

// around returns what happened to the host from a second before the first of
// lost to its last: the test's own events and windows, the changes to nftables,
// the daemon's log and systemd's.
func (c *chaos) around(lost []load.Failure) string {
	c.Helper()
	first, last := lost[0].Began, lost[0].Time
	for _, f := range lost {
		first, last = min(first, f.Began), max(last, f.Time)
	}
	from := time.Unix(0, first).Add(-2 * time.Second)
	// Those of the next seconds are of the same cause, or not explained by it.
	to := time.Unix(0, min(last, first+int64(3*time.Second))).Add(200 * time.Millisecond)
	all := c.trace.between(from, to)
	for _, w := range c.windows {
		if w.from.Before(to) && w.to.After(from) {
			all = append(all,
				happened{w.from, fmt.Sprintf("window begins (IPv4 %t, IPv6 %t)", w.v4, w.v6)},
				happened{w.to, fmt.Sprintf("window ends (IPv4 %t, IPv6 %t)", w.v4, w.v6)})
		}
	}
	for _, f := range lost {
		if at := time.Unix(0, f.Time); !at.After(to) {
			all = append(all, happened{at, "lost: " + f.String()})
		}
	}
	journal := c.do(fmt.Sprintf("journalctl --quiet --no-pager --output=short-unix --since=@%d --until=@%d", from.Unix(), to.Unix()+1))
	for line := range strings.Lines(journal) {
		var sec, usec int64
		if n, _ := fmt.Sscanf(line, "%d.%d", &sec, &usec); n != 2 {
			continue // a line that goes on
		}
		if at := time.Unix(sec, usec*1000); !at.Before(from) && !at.After(to) {
			_, text, _ := strings.Cut(strings.TrimSpace(line), " ")
			all = append(all, happened{at, text})
		}
	}
	slices.SortStableFunc(all, func(a, b happened) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	var b strings.Builder
	for _, h := range all {
		fmt.Fprintf(&b, "%s %s\n", h.at.UTC().Format("15:04:05.000000"), h.what)
	}
	return b.String()
}
