package iptables

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Half of the processor time of iptables-restore goes by before it reads its
// first line: fork, exec, dynamic linking. On a busy host that is taken from the
// servers at the very moment of a switch. So who sees a switch coming says so,
// and the commands that will write it are started ahead.

// waitsFor is how long a started command waits for something to write. Most
// servers are up by then, and nobody's command should stay for long: what takes
// more time to start is switched to as if nobody had seen it coming; so is what is
// switched back to.
const waitsFor = 30 * time.Second

// Anticipate says that an Apply is likely to write to the families soon. The next
// write of each is then done by a command that has been started from here on, and
// waits; without it, or when it has waited in vain for 30 s, a write starts its
// own. Anticipate returns at once, and may be called at any time, by several,
// and again: it starts no second command, and the time begins anew. Who calls it
// calls Close.
func (b *Backend) Anticipate(families nat.Family) {
	for _, t := range b.current() {
		if t.family&families != 0 {
			t.ahead.anticipate(t.restoring(t.wait))
		}
	}
}

// Close ends what Anticipate has started, and waits for its end. From then on
// rules are written without.
func (b *Backend) Close() {
	for _, t := range b.current() {
		t.ahead.close()
	}
}

// ahead is where a tool's next writer waits: one at most.
type ahead struct {
	patience time.Duration // 0: waitsFor

	mu      sync.Mutex
	writer  *writer // nil if none waits
	closed  bool
	running sync.WaitGroup // writers, wherever they are
}

// anticipate starts a writer for the namespace of the calling thread unless one
// waits already.
func (a *ahead) anticipate(argv []string) {
	fd, ns, err := openNamespace()
	if err != nil {
		return // nothing that a write needs
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.writer != nil && a.writer.ns != ns {
		a.dismiss(a.take())
	}
	patience := cmp.Or(a.patience, waitsFor)
	switch {
	case a.closed:
		unix.Close(fd)
	case a.writer != nil:
		unix.Close(fd)
		a.writer.until = time.Now().Add(patience)
		a.writer.expiry.Reset(patience)
	default:
		w := &writer{argv: argv, ns: ns, until: time.Now().Add(patience), started: make(chan struct{})}
		w.expiry = time.AfterFunc(patience, func() { a.expire(w) })
		a.writer = w
		a.running.Go(func() {
			w.run(fd)
			a.remove(w) // it has died, unless it was taken before
		})
	}
}

// write has the waiting writer carry out a script. Done is false, and nothing
// has been written, if none waits that can do it as argv, in the namespace of the
// calling thread, would.
func (a *ahead) write(ctx context.Context, timeout time.Duration, script string, argv []string) (done bool, err error) {
	a.mu.Lock()
	w := a.take()
	if w == nil {
		a.mu.Unlock()
		return false, nil
	}
	ns, err := threadNamespace()
	if err != nil || w.ns != ns || !slices.Equal(w.argv, argv) || ctx.Err() != nil {
		a.dismiss(w)
		a.mu.Unlock()
		return false, nil
	}
	a.mu.Unlock()
	return w.write(ctx, timeout, script)
}

// take takes the writer out of its place, nil if there is none. The caller has
// mu, and has the writer end.
func (a *ahead) take() *writer {
	w := a.writer
	if w != nil {
		a.writer = nil
		w.expiry.Stop()
	}
	return w
}

// remove takes w out of its place, if it is there.
func (a *ahead) remove(w *writer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.writer == w {
		a.take()
	}
}

// expire ends a writer that waits still, unless it may wait for longer by now.
func (a *ahead) expire(w *writer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.writer == w && !time.Now().Before(w.until) {
		a.dismiss(a.take())
	}
}

// dismiss ends a writer beside what else is done. The caller has mu.
func (a *ahead) dismiss(w *writer) {
	a.running.Go(w.dismiss)
}

func (a *ahead) close() {
	a.mu.Lock()
	a.closed = true
	w := a.take()
	a.mu.Unlock()
	if w != nil {
		w.dismiss()
	}
	a.running.Wait()
}
