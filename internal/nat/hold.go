package nat

import "time"

// Hold has new connections to the endpoints of one service wait in the kernel:
// they are neither refused nor led anywhere until they are let go.
type Hold struct {
	Service string
	// Until is when it ends at the latest, by CLOCK_MONOTONIC.
	Until   time.Duration
	Scope   Scope
	Targets []Target // their private ports do not matter
}

// Held is a Hold as read back from the kernel.
type Held struct {
	Key   string // of the service
	Until time.Duration
}
