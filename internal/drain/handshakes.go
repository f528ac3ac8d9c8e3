package drain

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// handshakePatience is longer than a client goes on sending again what nobody
// answers: with Linux's default of tcp_retries2, 924 s at least (ip-sysctl.rst).
const handshakePatience = 30 * time.Minute

// wrongCounters are those of /proc/net/netstat that tell of handshakes which may
// leave a conntrack entry without a socket: SYNs and ACKs that a listener
// dropped, for whatever reason, and SYNs answered with a cookie.
var wrongCounters = []string{"ListenDrops", "ListenOverflows", "TCPReqQFullDrop", "TCPReqQFullDoCookies", "SyncookiesSent"}

// handshakes knows since when all handshakes of this host have gone well. The
// kernel only counts those that did not, so that takes looking now and then.
type handshakes struct {
	read func() (uint64, error)

	mu    sync.Mutex
	known bool
	count uint64    // as seen last
	since time.Time // when it was seen first
}

// allWell reports whether no handshake has gone wrong since this network
// namespace exists, or since so long ago that no client waits for it any more.
func (h *handshakes) allWell() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, err := h.read()
	if err != nil {
		h.known = false
		return false
	}
	if !h.known || n != h.count {
		h.known, h.count, h.since = true, n, time.Now()
	}
	return n == 0 || time.Since(h.since) >= handshakePatience
}

// readWrong returns how many handshakes went wrong so far. One may be counted
// more than once.
func readWrong() (uint64, error) {
	// Not /proc/net: that is the namespace of the process's first thread.
	b, err := os.ReadFile("/proc/thread-self/net/netstat")
	if err != nil {
		return 0, err
	}
	return sumWrong(string(b))
}

// sumWrong finds the counters: lines of names, each followed by one of numbers.
func sumWrong(text string) (uint64, error) {
	var names []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "TcpExt:") {
			continue
		}
		if names == nil {
			names = strings.Fields(line)
			continue
		}
		numbers := strings.Fields(line)
		if len(numbers) != len(names) {
			return 0, fmt.Errorf("netstat: %d names and %d numbers", len(names), len(numbers))
		}
		counters := make(map[string]string, len(names))
		for i, name := range names {
			counters[name] = numbers[i]
		}
		var sum uint64
		for _, name := range wrongCounters {
			n, err := strconv.ParseUint(counters[name], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("netstat: counter %s: %w", name, err)
			}
			sum += n
		}
		return sum, nil
	}
	return 0, fmt.Errorf("netstat: no counters of TCP")
}
