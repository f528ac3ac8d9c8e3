// Package pulse tells a process when it has stood still: it was not given the
// processor, or the machine itself was stopped. What a test then measures of
// others says nothing about them.
package pulse

import (
	"context"
	"time"
)

const beat = 10 * time.Millisecond

// Watch calls stood for each time that the process stood still for at least
// shortest, with how long that was, until ctx ends.
func Watch(ctx context.Context, shortest time.Duration, stood func(time.Duration)) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := time.Now() // a tick that nobody took tells when it was due
		if still := now.Sub(last) - beat; still >= shortest {
			stood(still)
		}
		last = now
	}
}
