package unit

import (
	"context"
	"fmt"
	"strings"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// listen asks for the signals. The list comes after: what changes in between
// is not missed.
func (s *session) listen(ctx context.Context) error {
	s.bus.conn.Signal(s.signals)
	if s.bus.private {
		return nil // systemd sends all it has
	}
	from := "sender='" + systemdName + "',"
	changed := from + "interface='" + properties + "',member='PropertiesChanged',path_namespace='" + strings.TrimSuffix(unitPath, "/") + "',"
	for _, rule := range []string{
		from + "interface='" + managerIface + "',path='" + string(managerPath) + "'",
		changed + "arg0='" + serviceIface + "'",
		changed + "arg0='" + unitIface + "'",
		"sender='" + busName + "',interface='" + busName + "',member='NameOwnerChanged',arg0='" + systemdName + "'",
	} {
		if err := s.bus.match(ctx, rule); err != nil {
			return err
		}
	}
	owner, err := s.bus.owner(ctx)
	if err != nil {
		return fmt.Errorf("find systemd on the bus: %w", err)
	}
	s.own(owner)
	return nil
}

// own notes which connection of the bus is systemd.
func (s *session) own(owner string) {
	s.owner, s.away = owner, nil
	if owner == "" {
		s.away = time.After(awayTimeout)
	}
}

// signal takes in one signal.
func (s *session) signal(sig *dbus.Signal) {
	if !s.bus.private && sig.Sender == busName && sig.Name == busName+".NameOwnerChanged" {
		var name, before, owner string
		if dbus.Store(sig.Body, &name, &before, &owner) == nil && name == systemdName && owner != s.owner {
			s.own(owner)
			s.reloading = false
			s.relist(true) // it has re-executed itself, which is a reload as well
		}
		return
	}
	// The match rules do not hold off a signal that somebody on the bus sends
	// to this connection by its name, as every user may.
	if !s.bus.private && sig.Sender != s.owner {
		return
	}
	switch sig.Name {
	case properties + ".PropertiesChanged":
		s.propertiesChanged(sig)
	case managerIface + ".UnitNew":
		var name string
		var path dbus.ObjectPath
		if dbus.Store(sig.Body, &name, &path) == nil {
			delete(s.others, path)
			if s.reads.renewed != nil {
				s.reads.renewed[path] = true
			}
		}
	case managerIface + ".UnitRemoved":
		var name string
		var path dbus.ObjectPath
		if dbus.Store(sig.Body, &name, &path) == nil {
			s.unitRemoved(path, sig.Sequence)
		}
	case managerIface + ".JobNew":
		var id uint32
		var job dbus.ObjectPath
		var name string
		if dbus.Store(sig.Body, &id, &job, &name) == nil && strings.HasSuffix(name, ".service") {
			if t := s.track(pathOf(name), sig.Sequence); t != nil && sig.Sequence > t.unitAt {
				t.queued(id, job)
				s.changed(t)
			}
		}
	case managerIface + ".JobRemoved":
		var id uint32
		var job dbus.ObjectPath
		var name, result string
		if dbus.Store(sig.Body, &id, &job, &name, &result) == nil {
			if t := s.units[pathOf(name)]; t != nil && sig.Sequence > t.unitAt && t.job == id {
				t.queued(0, "")
				s.changed(t)
			}
		}
	case managerIface + ".Reloading":
		if dbus.Store(sig.Body, &s.reloading) == nil && !s.reloading {
			s.relist(true)
		}
	}
}

// propertiesChanged takes in the properties of a unit. systemd always sends
// those of the service first and those of the unit right after; the second
// completes the news.
func (s *session) propertiesChanged(sig *dbus.Signal) {
	if !isService(sig.Path) || len(sig.Body) < 2 {
		return
	}
	iface, _ := sig.Body[0].(string)
	values, _ := sig.Body[1].(map[string]dbus.Variant)
	t := s.units[sig.Path]
	if t == nil {
		// A unit that is only looked at (systemctl status loads it) is none
		// of ours yet: to read it would load it once more, and so on.
		var active string
		value(values, "ActiveState", &active)
		if job, _ := queued(values); iface != unitIface || active == "inactive" && job == 0 {
			return
		}
		if t = s.track(sig.Path, sig.Sequence); t == nil {
			return
		}
	}
	switch now := (snapshot{values, sig.Sequence}); iface {
	case serviceIface:
		t.service(now)
	case unitIface:
		t.unit(now)
		s.changed(t)
	}
}

// unitRemoved takes in that systemd has unloaded a unit. During a reload it
// says so of each, also of those that run.
func (s *session) unitRemoved(path dbus.ObjectPath, at dbus.Sequence) {
	delete(s.others, path)
	t := s.units[path]
	switch {
	case s.reloading || t == nil || at < t.unitAt:
	case !t.carries || t.status.ended():
		s.drop(t)
	default:
		s.relist(false) // the start of a reload has been missed
	}
}

// pathOf returns the object path of a unit.
func pathOf(name string) dbus.ObjectPath {
	return dbus.ObjectPath(unitPath + sd.PathBusEscape(name))
}
