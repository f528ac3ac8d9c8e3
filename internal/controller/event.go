package controller

// Event is news from systemd. Signals are hints: an Event carries what was
// read after one, not the signal itself.
type Event struct {
	Kind  EventKind
	Units []Unit // Resync: every unit that carries the section
	Unit  Unit   // Changed
	Name  string // Gone
}

// EventKind says what an Event is about.
type EventKind uint8

const (
	Resync  EventKind = iota + 1 // the complete picture
	Changed                      // one unit was read anew
	Gone                         // one unit is not loaded any more
)
