package unit

import (
	"maps"
	"sync"

	"github.com/godbus/dbus/v5"
)

// memory is the text of the units that Run reports, as systemd has loaded it.
// It outlives connections, so that a unit whose files are edited or deleted
// while it runs stays what it is, for events and Status alike.
type memory struct {
	mu    sync.Mutex
	files map[dbus.ObjectPath][]File
}

// known is what a read of a unit has to know of it, if anything.
type known struct {
	files []File
	// stands says that files is what systemd has in memory: if it says that
	// the files on disk are others by now, they are not read.
	stands bool
}

func (m *memory) keep(path dbus.ObjectPath, files []File) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[path] = files
}

func (m *memory) drop(path dbus.ObjectPath) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, path)
}

// dropOthers forgets all units but those in units.
func (m *memory) dropOthers(units map[dbus.ObjectPath]*tracked) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.files, func(path dbus.ObjectPath, _ []File) bool { return units[path] == nil })
}

// known returns what is known of a unit. stands is false if systemd has read
// its files again, or is to be taken to have.
func (m *memory) known(path dbus.ObjectPath, stands bool) known {
	m.mu.Lock()
	defer m.mu.Unlock()
	return known{m.files[path], stands}
}
