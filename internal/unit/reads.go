package unit

import (
	"context"
	"slices"
	"time"

	"github.com/godbus/dbus/v5"
)

// reads are the questions of a session to systemd, of which one at a time is
// under way.
type reads struct {
	units []*tracked // to be read, or completed
	list  bool       // all units are to be read
	fresh bool       // and their files, from disk whatever systemd has loaded
	retry <-chan time.Time
	wait  backoff
	busy  bool
	done  chan func() // takes in the answer
	// renewed are the units that systemd has loaded anew while the list was
	// being read, so that what it says of them may be old.
	renewed map[dbus.ObjectPath]bool
}

// relist asks for the list of units.
func (s *session) relist(fresh bool) {
	s.reads.list = true
	s.reads.fresh = s.reads.fresh || fresh
}

// ask asks for what t lacks, ahead of all others if its news is held up.
func (s *session) ask(t *tracked) {
	if t.asked {
		return
	}
	t.asked = true
	if t.lacksGroup() {
		s.reads.units = slices.Insert(s.reads.units, 0, t)
	} else {
		s.reads.units = append(s.reads.units, t)
	}
}

// nextRead returns the next read to make, nil if there is none to make now. It
// returns in turn what takes in the answer, for run's goroutine.
func (s *session) nextRead(ctx context.Context) func() func() {
	r := &s.reads
	if r.busy || r.retry != nil || s.owner == "" && !s.bus.private {
		return nil
	}
	if r.list {
		r.busy = true
		return s.readList(ctx)
	}
	for len(r.units) > 0 {
		t := r.units[0]
		r.units = r.units[1:]
		t.asked = false
		if s.units[t.path] == t {
			if read := s.readUnit(ctx, t); read != nil {
				r.busy = true
				return read
			}
		}
	}
	return nil
}

func (s *session) readList(ctx context.Context) func() func() {
	fresh := s.reads.fresh
	old := func(path dbus.ObjectPath) known { return s.memory.known(path, !fresh) }
	s.reads.list, s.reads.fresh = false, false
	s.reads.renewed = make(map[dbus.ObjectPath]bool)
	return func() func() {
		units, at, err := s.reader.loadAll(ctx, old)
		return func() {
			if s.failed(err) {
				s.relist(fresh)
				return
			}
			s.listed(units, at)
		}
	}
}

// readUnit returns the read that t needs next, nil if it needs none.
func (s *session) readUnit(ctx context.Context, t *tracked) func() func() {
	switch path, r := t.path, &s.reader; {
	case !t.carries:
		return func() func() {
			l, err := r.load(ctx, path, known{})
			return func() {
				if !s.failed(err) {
					s.loaded(l)
				}
			}
		}
	case t.lacksGroup():
		id := t.status.Invocation
		return func() func() {
			group, err := r.controlGroup(ctx, path)
			return func() {
				if !s.failed(err) {
					t.group(group, id)
					s.changed(t)
				}
			}
		}
	case t.lacksJob():
		id, job := t.job, t.jobPath
		return func() func() {
			named, err := r.job(ctx, id, job)
			return func() {
				if !s.failed(err) {
					t.typed(named)
					s.changed(t)
				}
			}
		}
	}
	return nil
}

// failed reports whether a read failed. All is read again a little later then,
// unless the answer would be the same.
func (s *session) failed(err error) bool {
	switch {
	case err == nil:
		return false
	case passing(err):
		s.log.Debug("systemd does not answer, trying again", "err", err)
		s.relist(false)
		s.reads.retry = time.After(s.reads.wait.next())
	default:
		s.log.Error("systemd refuses to answer", "err", err)
	}
	return true
}

// listed takes in the list of units, made at the moment at.
func (s *session) listed(units []loaded, at dbus.Sequence) {
	s.others = make(map[dbus.ObjectPath]bool)
	listed := make(map[dbus.ObjectPath]bool)
	for _, l := range units {
		listed[l.path] = true
		s.loaded(l)
	}
	for path, t := range s.units {
		switch {
		case listed[path]:
		case max(t.since, t.unitAt) < at:
			s.drop(t)
		default: // came since
			s.ask(t)
		}
	}
	s.memory.dropOthers(s.units)
	s.reads.renewed = nil
	s.reads.wait = backoff{}
	s.ready, s.told = true, false
}

// loaded takes in what was read of a unit.
func (s *session) loaded(l loaded) {
	t := s.units[l.path]
	switch {
	case t != nil && l.unit.at < t.since:
		s.ask(t) // it has been loaded anew
	case l.carries:
		if t == nil {
			t = &tracked{path: l.path}
			s.units[l.path] = t
		}
		t.load(l)
		s.memory.keep(l.path, l.files)
		s.changed(t)
	default:
		if t != nil {
			s.drop(t)
		}
		if !s.reads.renewed[l.path] {
			s.others[l.path] = true
		}
	}
}
