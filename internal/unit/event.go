package unit

import "fmt"

// Kind says what an Event tells.
type Kind uint8

const (
	// Resync carries the complete picture in Units: any other unit is not
	// loaded, or no longer carries the section. It is the first event, and
	// comes again after a daemon-reload, when systemd has re-executed itself,
	// when a lost connection is back, and when asked for (Client.Resync).
	Resync Kind = iota + 1
	// Changed carries a unit that is new or has changed.
	Changed
	// Gone names a unit that systemd has unloaded, which it does to units
	// that are stopped and that nothing refers to.
	Gone
	// Lost says that the connection is lost: keep what you have. A Resync
	// follows when it is back.
	Lost
)

func (k Kind) String() string {
	switch k {
	case Resync:
		return "resync"
	case Changed:
		return "changed"
	case Gone:
		return "gone"
	case Lost:
		return "lost"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Event is news about the units that carry the section.
type Event struct {
	Kind  Kind
	Unit  Status   // Changed
	Name  string   // Gone
	Units []Status // Resync; sorted by name
}
