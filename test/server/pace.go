package main

import (
	"net"
	"sync"
	"time"
)

// paced is a listener that lets time pass before it calls accept(2).
type paced struct {
	net.Listener
	wait   func(closed <-chan struct{})
	once   sync.Once
	closed chan struct{}
}

func newPaced(l net.Listener, wait func(closed <-chan struct{})) *paced {
	return &paced{Listener: l, wait: wait, closed: make(chan struct{})}
}

func (l *paced) Accept() (net.Conn, error) {
	l.wait(l.closed)
	return l.Listener.Accept()
}

func (l *paced) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// ticks lets d pass between accepts, so that under load the accept queue is
// never empty.
func ticks(d time.Duration) func(closed <-chan struct{}) {
	tick := time.NewTicker(d)
	return func(closed <-chan struct{}) {
		select {
		case <-tick.C:
		case <-closed:
		}
	}
}

// A server under overload has an accept queue of shortBacklog (the kernel lets
// one more in), and accepts nothing in the first shut of every period: under
// load the queue is full for most of that time, and the kernel drops SYNs.
//
// The kernel sends such a SYN again after a second, which is two and a half
// periods: it comes when the server accepts again. So none is dropped for ever,
// which is what a queue that is always full would do to some. Periods are those
// of the clock, the same for all versions.
const (
	shortBacklog = 8
	period       = 400 * time.Millisecond
	shut         = 170 * time.Millisecond
)

// untilOpen waits for the end of the time in which nothing is accepted.
func untilOpen(closed <-chan struct{}) {
	phase := time.Duration(time.Now().UnixNano()) % period
	if phase >= shut {
		return
	}
	timer := time.NewTimer(shut - phase)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-closed:
	}
}
