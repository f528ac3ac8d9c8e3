package host

import (
	"errors"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

var errClosed = errors.New("already closed")

// thread is one OS thread, kept for what the kernel ties to a thread and not
// to a process: its namespaces, and being the parent that Pdeathsig watches.
// (A child dies with the thread that forked it, and the Go runtime does end
// threads, for instance those of tests that unshare a network namespace.)
type thread struct {
	work chan func()
	stop chan struct{}
	once sync.Once
}

func newThread() *thread {
	t := &thread{work: make(chan func()), stop: make(chan struct{})}
	started := make(chan struct{})
	go t.run(started)
	<-started
	return t
}

func (t *thread) run(started chan struct{}) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread is what /proc/self shows, and it cannot end alone.
		// While it is held here the new goroutine runs on another one.
		go t.run(started)
		<-started
		runtime.UnlockOSThread()
		return
	}
	close(started)
	for {
		select {
		case f := <-t.work:
			f()
		case <-t.stop:
			return // still locked: the runtime ends the thread
		}
	}
}

// do runs f on the thread and returns its error.
func (t *thread) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case t.work <- func() { result <- f() }:
		return <-result
	case <-t.stop:
		return errClosed
	}
}

// close ends the thread, and with it the namespaces that only it was in and
// the children that were to die with it.
func (t *thread) close() { t.once.Do(func() { close(t.stop) }) }
