package unit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// awayTimeout is how long systemd may be off the bus, as it is while it
// re-executes itself, before another connection is tried.
const awayTimeout = 5 * time.Second

// session is the watch over one connection. All its state belongs to the
// goroutine that is in run.
type session struct {
	*Client
	bus     *bus
	reader  reader
	events  chan<- Event
	signals chan *dbus.Signal

	// owner is systemd's unique name on the bus, "" while it is away.
	owner     string
	away      <-chan time.Time // systemd is away for too long
	reloading bool

	units map[dbus.ObjectPath]*tracked
	// others are the services without the section: their signals cost no more
	// than a look here. systemd reads a unit's files again only after
	// UnitRemoved or a reload.
	others map[dbus.ObjectPath]bool
	reads  reads

	notices []notice // to be delivered, in order
	ready   bool     // units is complete
	told    bool     // and has been delivered; if not, that comes before notices
	ever    bool     // a Resync has been delivered
}

// notice is an event in the making: a unit that may have changed, or the name
// of one that is gone.
type notice struct {
	unit *tracked
	gone string
}

func newSession(c *Client, b *bus, events chan<- Event) *session {
	return &session{
		Client: c, bus: b, events: events,
		reader:  reader{bus: b, files: c.files, section: c.section},
		signals: make(chan *dbus.Signal, 16),
		units:   make(map[dbus.ObjectPath]*tracked),
		others:  make(map[dbus.ObjectPath]bool),
		reads:   reads{done: make(chan func(), 1)},
	}
}

// run delivers events until the connection ends, which is an error, or ctx
// does, which is none. It closes the connection.
func (s *session) run(ctx context.Context) error {
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		s.bus.close()
		running.Wait()
	}()
	s.relist(false)
	for {
		if read := s.nextRead(ctx); read != nil {
			running.Go(func() { s.reads.done <- read() })
		}
		next, any := s.next()
		var out chan<- Event
		if any {
			out = s.events
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.bus.conn.Context().Done():
			return errors.New("connection closed")
		case <-s.away:
			return errors.New("systemd has left the bus")
		case signal, ok := <-s.signals:
			if !ok {
				return errors.New("connection closed")
			}
			s.signal(signal)
		case apply := <-s.reads.done:
			s.reads.busy = false
			apply()
		case out <- next:
			s.delivered(next)
		case <-s.resync:
			s.relist(true)
		case <-s.reads.retry:
			s.reads.retry = nil
		}
	}
}

// track returns what is known of a service, after noting that the signal
// numbered at tells of it; nil if it does not carry the section, or is new
// while systemd reloads, which announces every unit and ends with a list.
func (s *session) track(path dbus.ObjectPath, at dbus.Sequence) *tracked {
	t := s.units[path]
	if t == nil && !s.others[path] && !s.reloading {
		t = &tracked{path: path, since: at}
		s.units[path] = t
	}
	return t
}

// changed queues a notice of t, and a read if something is missing.
func (s *session) changed(t *tracked) {
	if !t.carries || t.lacksGroup() || t.lacksJob() {
		s.ask(t)
	}
	if t.settled() && !t.noted {
		t.noted = true
		s.notices = append(s.notices, notice{unit: t})
	}
}

// drop forgets a unit.
func (s *session) drop(t *tracked) {
	delete(s.units, t.path)
	s.memory.drop(t.path)
	if t.told.Name != "" {
		s.notices = append(s.notices, notice{gone: t.told.Name})
	}
}

// next returns the event to deliver next. It says what is true now, so it is
// made anew each time.
func (s *session) next() (e Event, any bool) {
	if !s.ready {
		return Event{}, false
	}
	if !s.told {
		e = Event{Kind: Resync}
		for _, t := range s.units {
			switch {
			case !t.carries: // a Changed will tell of it
			case t.lacksGroup() && (t.asked || s.reads.busy):
				// It was started while the list was read. Told without its
				// cgroup it would look like one that does not listen.
				return Event{}, false
			default:
				e.Units = append(e.Units, t.status)
			}
		}
		slices.SortFunc(e.Units, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
		return e, true
	}
	for ; len(s.notices) > 0; s.notices = s.notices[1:] {
		n := s.notices[0]
		if n.gone != "" {
			return Event{Kind: Gone, Name: n.gone}, true
		}
		t := n.unit
		if s.units[t.path] == t && t.settled() && !t.status.equal(&t.told) {
			return Event{Kind: Changed, Unit: t.status}, true
		}
		t.noted = false
	}
	return Event{}, false
}

// delivered notes that e, the event of next, has been taken.
func (s *session) delivered(e Event) {
	if e.Kind == Resync {
		for _, n := range s.notices {
			if n.unit != nil {
				n.unit.noted = false
			}
		}
		s.notices = nil
		for _, t := range s.units {
			if t.carries {
				t.told = t.status
			}
		}
		s.told, s.ever = true, true
		return
	}
	if t := s.notices[0].unit; t != nil {
		t.told, t.noted = t.status, false
	}
	s.notices = s.notices[1:]
}

// deliver delivers an event that is not in the queue, unless ctx ends first.
func (s *session) deliver(ctx context.Context, e Event) {
	select {
	case s.events <- e:
	case <-ctx.Done():
	}
}
