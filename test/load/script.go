package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// script is what the clients of one kind do on a connection, from its first
// byte to its end. An error that is none of the ends below is a failure.
type script func(ctx context.Context, t *talk) error

// How a script may end early, without a failure.
var (
	// errOwnReset is a connection that the server said it resets of its own will.
	errOwnReset = errors.New("reset by the server's own will")
	// errIdleClose is one that the server closed while no request was under way.
	errIdleClose = errors.New("closed while idle")
	// errStopped is the end of the run.
	errStopped = errors.New("the run ends")
)

func isEnd(err error) bool {
	return errors.Is(err, errOwnReset) || errors.Is(err, errIdleClose) || errors.Is(err, errStopped)
}

// scripts returns those of c's kinds, with how many clients of each there are.
func (c Config) scripts() []struct {
	kind   Kind
	n      int
	script script
} {
	short, keepAlive, stream := httpShort, httpKeepAlive, httpStream
	if c.Protocol == Redis {
		short, keepAlive, stream = redisShort, redisKeepAlive, redisStream
	}
	return []struct {
		kind   Kind
		n      int
		script script
	}{
		{Short, c.Short, short},
		{KeepAlive, c.KeepAlive, keepAlive},
		{Stream, c.Streams, stream},
		{Echo, c.Echo, echo},
		{TLS, c.TLS, tlsKeepAlive},
		{WebSocket, c.WebSocket, webSocket},
		{HTTP2, c.HTTP2, http2},
	}
}

// talk is a connection while a script is at work on it.
type talk struct {
	*conn
	client  *client
	rng     *rand.Rand // of this connection
	request int        // under way, or the last one
	secure  bool       // with TLS
}

// requests runs do for each of the client's requests, with pauses in between;
// last says that there will be no other.
func (t *talk) requests(ctx context.Context, do func(last bool) error) error {
	for n := 1; n <= t.client.Requests; n++ {
		if n > 1 {
			if err := t.pause(ctx); err != nil {
				return err
			}
		}
		began := t.begin()
		if err := do(n == t.client.Requests); err != nil {
			return err
		}
		t.answered(began, t.version)
		if t.closing {
			return errIdleClose
		}
	}
	return nil
}

// begin begins the next request.
func (t *talk) begin() time.Time {
	t.request++
	return time.Now()
}

// answered counts a request that version answered as it should.
func (t *talk) answered(began time.Time, version string) {
	now := time.Now()
	latency := now.Sub(began)
	c := t.client
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counters.Requests++
	c.counters.served(version, 1)
	c.counters.Answers.Add(latency)
	if !c.Samples {
		return
	}
	if c.kind == Short {
		latency += t.connectTime()
	}
	c.samples = append(c.samples, newSample(now, latency))
}

// pause lets the time between two requests pass. The server has nothing to say
// then, but that it closes.
func (t *talk) pause(ctx context.Context) error {
	switch {
	case t.client.Pause > 0 && t.secure:
		return t.idleTLS(ctx, t.client.between(t.rng))
	case t.client.Pause > 0:
		more, err := t.idle(ctx, t.client.between(t.rng))
		if more {
			return errUnasked
		}
		return err
	case ctx.Err() != nil:
		return errStopped
	}
	return nil
}

// errUnasked is what a server has no reason to say.
const errUnasked = wrong("bytes came without a request")

// watch is pause for a connection that somebody else reads all the time, and
// closes ended when that fails; it returns errIdleClose then.
func (t *talk) watch(ctx context.Context, ended <-chan struct{}) error {
	if t.client.Pause == 0 {
		if ctx.Err() != nil {
			return errStopped
		}
		return nil
	}
	t.phase = Idle
	timer := time.NewTimer(t.client.between(t.rng))
	defer timer.Stop()
	select {
	case <-ended:
		return errIdleClose
	case <-ctx.Done():
		return errStopped
	case <-timer.C:
	}
	select {
	case <-ended:
		return errIdleClose
	default:
		return nil
	}
}
