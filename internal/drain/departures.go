package drain

import (
	"sync"
	"time"
)

// unanswered is how long a redirected SYN that nobody answers has an entry, by the
// timeouts that come with the rules (tcpSynSent of package companion, 1 s), and a
// little more.
const unanswered = 1100 * time.Millisecond

// departures knows since when no new connection is led to a port. The zero value
// knows of none.
type departures struct {
	mu    sync.Mutex
	since map[uint16]time.Time
}

// note has it that no new connection is led to the ports from now on.
func (d *departures) note(ports []uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.since == nil {
		d.since = map[uint16]time.Time{}
	}
	for _, port := range ports {
		d.since[port] = time.Now()
	}
}

// longAgo reports whether the last SYN that was led to one of the ports has been
// answered by now, or forgotten.
func (d *departures) longAgo(ports []uint16) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, port := range ports {
		since, known := d.since[port]
		if !known || time.Since(since) < unanswered {
			return false
		}
	}
	return true
}

// forget is for ports that may be another server's next.
func (d *departures) forget(ports []uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, port := range ports {
		delete(d.since, port)
	}
}
