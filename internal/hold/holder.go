package hold

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Holder keeps the connections of paused services. Its methods may be called by
// several goroutines.
type Holder struct {
	log  *slog.Logger
	most uint32 // that can wait

	opened chan *queue   // to Run
	wake   chan struct{} // to pace

	mu    sync.Mutex
	queue *queue // nil before the first pause
	lines map[string]*line
	held  map[string]uint64 // connections that had to wait, by service
}

// New returns a Holder that Run sets to work.
func New(log *slog.Logger) *Holder {
	return &Holder{
		log:    log,
		most:   MaxWaiting,
		opened: make(chan *queue, 1),
		wake:   make(chan struct{}, 1),
		lines:  map[string]*line{},
		held:   map[string]uint64{},
	}
}

// Run takes what is queued and lets go what is to be released, until ctx ends.
// The kernel drops what waits then, as it does when the process dies, and the
// clients send it again. If the queue is lost, new connections pass; lost is
// called, which should have the rules applied again.
func (h *Holder) Run(ctx context.Context, lost func()) error {
	for {
		var q *queue
		select {
		case <-ctx.Done():
			return nil
		case q = <-h.opened:
		}
		h.serve(ctx, q)
		if ctx.Err() == nil {
			h.lose(q)
			lost()
		}
	}
}

// serve works on one queue, and closes it.
func (h *Holder) serve(ctx context.Context, q *queue) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() { h.pace(ctx) })
	wait.Go(func() {
		<-ctx.Done()
		if err := q.close(); err != nil {
			h.log.Warn("netfilter queue not closed", "error", err)
		}
	})
	err := q.receive(func(p packet) { h.take(q, p) })
	if err != nil && ctx.Err() == nil {
		h.log.Error("connections that were held are let go: they will be sent again", "error", err)
	}
	cancel()
}

// lose forgets what waited in a queue that is closed.
func (h *Holder) lose(q *queue) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.queue != q {
		return
	}
	h.queue = nil
	for _, l := range h.lines {
		l.waiting, l.of = nil, map[flow]*waiter{}
		l.told()
	}
}

// Prepare gets ready for holds that rules are about to be written for, and
// returns the number of the queue that these have to lead to.
func (h *Holder) Prepare(holds []nat.Hold) (number uint16, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.queue == nil {
		q, err := bind(h.most)
		if err != nil {
			return 0, err
		}
		h.queue = q
		h.opened <- q
	}
	for _, hold := range holds {
		if h.lines[hold.Service] == nil {
			h.lines[hold.Service] = newLine()
		}
		h.lines[hold.Service].hold = hold
	}
	return h.queue.number, nil
}

// Settle follows rules that are in force: what is not held any more is let go at
// once, and what is released later goes where they lead.
func (h *Holder) Settle(rules nat.Rules) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, l := range h.lines {
		i := slices.IndexFunc(rules.Holds, func(hold nat.Hold) bool { return hold.Service == name })
		if i < 0 {
			h.judge(accept, l.all()...)
			l.waiting, l.of = nil, nil
			l.told()
			delete(h.lines, name)
			continue
		}
		l.hold = rules.Holds[i]
		l.leads = nil
		for _, r := range rules.Redirects {
			if r.Service == name {
				l.leads = r.Targets
			}
		}
	}
}

// all returns the SYNs of all that wait.
func (l *line) all() []uint32 {
	ids := make([]uint32, len(l.waiting))
	for i, w := range l.waiting {
		ids[i] = w.id
	}
	return ids
}

// told tells who waits for it that nothing waits in l any more.
func (l *line) told() {
	if l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// take decides about a packet that was queued: it waits if its service is
// paused, and passes if not.
func (h *Holder) take(q *queue, p packet) {
	f, ok := parseFlow(p.start)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.queue != q {
		return
	}
	for name, l := range h.lines {
		if !ok || !l.wants(p.hook, f.to) {
			continue
		}
		if before, repeated := l.take(f, p.id, time.Now()); repeated {
			h.judge(drop, before)
			return
		}
		h.held[name]++
		if l.releasing {
			h.nudge()
		}
		return
	}
	h.judge(accept, p.id)
}

// judge gives verdicts; h.mu is held.
func (h *Holder) judge(v verdict, ids ...uint32) {
	if h.queue == nil || len(ids) == 0 {
		return
	}
	if err := h.queue.judge(v, ids...); err != nil {
		h.log.Error("held connections not let go: their clients will try again", "connections", len(ids), "error", err)
	}
}

func (h *Holder) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Waiting is how many connections of a service wait, and how many had to since
// the daemon started.
type Waiting struct {
	Now   int
	Since uint64
}

// Waiting returns that of each service, also of those that were paused.
func (h *Holder) Waiting() map[string]Waiting {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string]Waiting{}
	for name, n := range h.held {
		all[name] = Waiting{Since: n}
	}
	for name, l := range h.lines {
		all[name] = Waiting{Now: len(l.waiting), Since: h.held[name]}
	}
	return all
}

// services returns the names of lines, sorted.
func (h *Holder) services() []string {
	var names []string
	for name := range h.lines {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	return names
}
