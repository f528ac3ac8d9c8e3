package drain

import "time"

// pace says how long to pause between two looks.
type pace struct {
	min, max time.Duration
	// rest is how many times as long as a look took nothing is looked at, even
	// beyond max: with 20, looking takes 5 % of one processor at most.
	rest int
}

// maxRest bounds that, for a host so loaded that a look took seconds.
const maxRest = 5 * time.Second

// pause returns a tenth of the time waited so far, within bounds: the end is
// noticed at most so much later than it came.
func (p pace) pause(waited, took time.Duration) time.Duration {
	return max(
		min(max(waited/10, p.min), p.max),
		min(took*time.Duration(p.rest), maxRest),
	)
}
