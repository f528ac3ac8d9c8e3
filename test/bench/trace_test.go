package bench

import (
	"errors"
	"slices"
	"sync"

	"github.com/switcheroo/switcheroo/test/bench/event"
)

// trace is what the witness has told.
type trace struct {
	mu     sync.Mutex
	events []event.Event
	more   chan struct{} // closed when there is another one
	err    error
}

func (t *trace) add(e event.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, e)
	t.wake()
}

func (t *trace) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err = err; err == nil {
		t.err = errors.New("the witness has ended")
	}
	t.wake()
}

func (t *trace) wake() {
	if t.more != nil {
		close(t.more)
		t.more = nil
	}
}

// forget drops what was told so far.
func (t *trace) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = nil
}

// since returns what was told since the last forget. more is closed when
// there is something else.
func (t *trace) since() (events []event.Event, more <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.more == nil {
		t.more = make(chan struct{})
	}
	return slices.Clone(t.events), t.more, t.err
}

// first returns the first of events like e: of its kind, unit, process and
// family, as far as e names any.
func first(events []event.Event, e event.Event) (event.Event, bool) {
	i := slices.IndexFunc(events, func(x event.Event) bool {
		return x.Kind == e.Kind && (e.Unit == "" || x.Unit == e.Unit) &&
			(e.PID == 0 || x.PID == e.PID) && (e.Family == 0 || x.Family == e.Family)
	})
	if i < 0 {
		return event.Event{}, false
	}
	return events[i], true
}
