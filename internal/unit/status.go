package unit

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/godbus/dbus/v5"
)

// Status is what systemd said about one service unit when it was read. The
// times are CLOCK_MONOTONIC, as systemd's are.
type Status struct {
	Name         string        // the canonical one (Id), also of an alias
	Invocation   string        // of the latest activation: 32 hex digits, "" if never started
	Active, Sub  string        // "active", "running"
	Job          string        // type of the queued job: "start", "stop", "restart", ...; "" if none
	Type, Result string        // [Service] Type= as systemd understood it; "success", "timeout", ...
	Restarts     uint32        // automatic ones (NRestarts)
	MainPID      uint32        // 0 if none
	ControlGroup string        // relative to systemd's root, "" if there is none
	ReadyAt      time.Duration // when it last became active; 0 if never
	StartedAt    time.Duration // when it last left the inactive state; 0 if never
	// Sockets are the socket units that start it and pass it their listeners.
	// They are shared: do not modify them.
	Sockets []string
	// NeedReload is set if the files had changed on disk when they were read,
	// so that Files may differ from what systemd has loaded.
	NeedReload bool
	// Files are the unit's file and its drop-ins in the order in which systemd
	// applies them, read when the unit was loaded or systemd reloaded. They
	// are shared: do not modify them.
	Files []File
}

// File is a unit file or drop-in as read from disk.
type File struct {
	Path string
	Data []byte // nil: /dev/null, which masks what has this name
}

func (f File) masked() bool { return f.Data == nil }

// equal reports whether s and t say the same.
func (s *Status) equal(t *Status) bool {
	return s.Name == t.Name && s.Invocation == t.Invocation && s.Active == t.Active && s.Sub == t.Sub &&
		s.Job == t.Job && s.Type == t.Type && s.Result == t.Result && s.Restarts == t.Restarts &&
		s.MainPID == t.MainPID && s.ControlGroup == t.ControlGroup && s.ReadyAt == t.ReadyAt &&
		s.StartedAt == t.StartedAt && s.NeedReload == t.NeedReload &&
		slices.Equal(s.Sockets, t.Sockets) && slices.EqualFunc(s.Files, t.Files, File.equal)
}

func (f File) equal(g File) bool { return f.Path == g.Path && bytes.Equal(f.Data, g.Data) }

// ended reports whether nothing of the unit runs.
func (s *Status) ended() bool { return s.Active == "inactive" || s.Active == "failed" }

// Status reads one unit, whether it carries the section or not. A unit that is
// not loaded is "inactive", and is not loaded for the question: that would be
// announced to every watcher.
func (c *Client) Status(ctx context.Context, name string) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var status Status
	err := c.do(ctx, func(b *bus) (err error) {
		status, err = c.status(ctx, b, name)
		return err
	})
	if err != nil {
		return Status{}, fmt.Errorf("read unit %q: %w", name, err)
	}
	return status, nil
}

func (c *Client) status(ctx context.Context, b *bus, name string) (Status, error) {
	r := reader{bus: b, files: c.files}
	for {
		var path dbus.ObjectPath
		err := b.call(ctx, b.systemd(managerPath), managerIface+".GetUnit", name).Store(&path)
		if isError(err, noSuchUnit) {
			return Status{Name: name, Active: "inactive", Sub: "dead"}, nil
		}
		if err != nil {
			return Status{}, err
		}
		l, err := r.load(ctx, path, c.memory.known(path, true))
		if err != nil {
			return Status{}, err
		}
		if l.job.id != 0 && l.job.name == "" {
			// Its job is over by now, so the state is another one as well: a
			// unit that is stopping would look as if it were not.
			continue
		}
		t := tracked{path: path}
		t.load(l)
		return t.status, nil
	}
}

// invocation returns an InvocationID as systemd prints it.
func invocation(id []byte) string {
	if len(id) != 16 || bytes.Equal(id, make([]byte, 16)) {
		return ""
	}
	return hex.EncodeToString(id)
}

// microseconds returns a time of systemd's.
func microseconds(t uint64) time.Duration {
	return time.Duration(t) * time.Microsecond
}
