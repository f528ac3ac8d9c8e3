package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// callTimeout bounds a call that waits for nothing, and the time that
	// an answer may take beyond what it was to wait for.
	callTimeout = 10 * time.Second
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 64 << 20
)

// Client calls the daemon. It may be used by several goroutines. Every error
// is an *Error, an *UnreachableError, or the context's.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient returns a client for the daemon on the unix socket at path. It
// connects when it is used. Close it.
func NewClient(path string) *Client {
	return &Client{socket: path, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		DisableCompression: true,
		MaxIdleConns:       1,
		IdleConnTimeout:    10 * time.Second,
	}}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Select says which services or instances to return.
type Select struct {
	// Connections: count each instance's, too.
	Connections bool
}

func (s Select) query() url.Values {
	q := url.Values{}
	if s.Connections {
		q.Set("connections", "yes")
	}
	return q
}

// Services returns all services, by name.
func (c *Client) Services(ctx context.Context, s Select) ([]Service, error) {
	var all []Service
	return all, c.get(ctx, "/services", s.query(), &all)
}

// Service returns one service.
func (c *Client) Service(ctx context.Context, name string, s Select) (*Service, error) {
	var svc Service
	if err := c.get(ctx, "/services/"+url.PathEscape(name), s.query(), &svc); err != nil {
		return nil, err
	}
	return &svc, nil
}

// Instances returns the instances of all services.
func (c *Client) Instances(ctx context.Context, s Select) ([]Instance, error) {
	var all []Instance
	return all, c.get(ctx, "/instances", s.query(), &all)
}

// Switches returns the latest switches, the latest last; of all services if
// service is "".
func (c *Client) Switches(ctx context.Context, service string) ([]Switch, error) {
	var all []Switch
	q := url.Values{}
	if service != "" {
		q.Set("service", service)
	}
	return all, c.get(ctx, "/switches", q, &all)
}

// MaxHistory is how many events of the past are told at most.
const MaxHistory = 1000

// History returns the switches and failures of the past, the latest last: as many
// lines as that, or 50 if it is 0; of all services if service is ""; since then,
// unless since is zero.
func (c *Client) History(ctx context.Context, service string, since time.Time, lines int) ([]Event, error) {
	var all []Event
	q := url.Values{}
	if !since.IsZero() {
		q.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	if service != "" {
		q.Set("service", service)
	}
	if lines != 0 {
		q.Set("lines", strconv.Itoa(lines))
	}
	return all, c.get(ctx, "/history", q, &all)
}

// Connections returns the connections of all instances of a service, or of one
// instance.
func (c *Client) Connections(ctx context.Context, name string) ([]Connection, error) {
	var all []Connection
	return all, c.get(ctx, "/connections/"+url.PathEscape(name), nil, &all)
}

// Health returns how the daemon is.
func (c *Client) Health(ctx context.Context) (*Health, error) {
	var h Health
	if err := c.get(ctx, "/health", nil, &h); err != nil {
		return nil, err
	}
	return &h, nil
}

// Doctor returns what the daemon can find wrong with this host.
func (c *Client) Doctor(ctx context.Context) (*Diagnosis, error) {
	var d Diagnosis
	if err := c.call(ctx, http.MethodGet, "/doctor", nil, 2*callTimeout, &d); err != nil {
		return nil, err
	}
	return &d, nil
}

// Check looks for mistakes in unit files.
func (c *Client) Check(ctx context.Context, what Check) (*Checked, error) {
	var found Checked
	if err := c.post(ctx, "/check", what, 0, &found); err != nil {
		return nil, err
	}
	return &found, nil
}

// Deploy starts an instance and waits as asked.
func (c *Client) Deploy(ctx context.Context, what Deploy) (*Outcome, error) {
	return c.outcome(ctx, "/deploy", what, what.Wait, what.Timeout)
}

// Rollback gives an older instance the traffic back.
func (c *Client) Rollback(ctx context.Context, what Rollback) (*Outcome, error) {
	return c.outcome(ctx, "/rollback", what, what.Wait, what.Timeout)
}

// Pause has new connections of a service wait.
func (c *Client) Pause(ctx context.Context, what PauseRequest) (*Paused, error) {
	var out Paused
	if err := c.post(ctx, "/pause", what, 0, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Resume lets them go on, and returns once all that waited have: while nothing
// serves, when the pause ends by itself.
func (c *Client) Resume(ctx context.Context, what Resume) (*Resumed, error) {
	var out Resumed
	if err := c.post(ctx, "/resume", what, time.Duration(MaxPause)+resumeTime, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// resumeTime is more than it takes to let all go on that have waited.
const resumeTime = time.Minute

// Drain sees an instance out. It outlasts a restart of the daemon.
func (c *Client) Drain(ctx context.Context, what Drain) (*Outcome, error) {
	return c.insist(ctx, func() (*Outcome, error) { return c.outcome(ctx, "/drain", what, what.Wait, what.Timeout) })
}

// Wait waits until an instance has the traffic, or has none left. It outlasts
// a restart of the daemon.
func (c *Client) Wait(ctx context.Context, what Wait) (*Outcome, error) {
	return c.insist(ctx, func() (*Outcome, error) { return c.outcome(ctx, "/wait", what, what.For, what.Timeout) })
}

// restartTime is how long a restart of the daemon may take.
const restartTime = 30 * time.Second

// insist repeats a call that can be made twice while the daemon is restarted, or
// has too many others of this caller's under way.
// One that does not answer at all is not waited for.
func (c *Client) insist(ctx context.Context, call func() (*Outcome, error)) (*Outcome, error) {
	var away time.Time
	for {
		began := time.Now()
		out, err := call()
		var e *Error
		stopping := errors.As(err, &e) && (e.Code == Unavailable || e.Code == TooMany)
		if !stopping && !errors.As(err, new(*UnreachableError)) {
			return out, err
		}
		if time.Since(began) > time.Second { // it was there, and has gone
			away = time.Now()
		}
		if !stopping && away.IsZero() || time.Since(away) > restartTime && !away.IsZero() {
			return out, err
		}
		if away.IsZero() {
			away = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// DefaultTimeout is that of calls which wait and name none.
const DefaultTimeout = Duration(time.Hour)

func (c *Client) outcome(ctx context.Context, path string, what any, wait Goal, timeout Duration) (*Outcome, error) {
	if wait == ForNothing {
		timeout = 0
	} else if timeout == 0 {
		timeout = DefaultTimeout
	}
	var out Outcome
	if err := c.post(ctx, path, what, time.Duration(timeout), &out); err != nil {
		return nil, err
	}
	return &out, nil
}

func (c *Client) get(ctx context.Context, path string, q url.Values, into any) error {
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return c.call(ctx, http.MethodGet, path, nil, callTimeout, into)
}

// post sends a request that the daemon may take wait to answer.
func (c *Client) post(ctx context.Context, path string, what any, wait time.Duration, into any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	limit := wait + callTimeout
	if limit < wait { // infinity
		limit = wait
	}
	return c.call(ctx, http.MethodPost, path, body, limit, into)
}

func (c *Client) call(ctx context.Context, method, path string, body []byte, limit time.Duration, into any) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	resp, err := c.send(limited, method, path, body)
	if err != nil {
		return c.explain(ctx, err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return c.explain(ctx, err)
	}
	return nil
}

// send returns the answer to a request if that was a success.
func (c *Client) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://switcheroo"+Version+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var f Failure
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&f); err != nil || f.Error == nil {
		return nil, &Error{Code: Internal, Message: "the daemon answered " + resp.Status, Status: resp.StatusCode}
	}
	f.Error.Status = resp.StatusCode
	return nil, f.Error
}

// explain makes of what went wrong an error that callers can tell apart.
func (c *Client) explain(ctx context.Context, err error) error {
	var known *Error
	switch {
	case errors.As(err, &known):
		return known
	case ctx.Err() != nil:
		return ctx.Err()
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &UnreachableError{Socket: c.socket, Err: err}
}

// Events follows what happens after the event since: 0 is what happens from now
// on. Those still known come first. Close the stream.
func (c *Client) Events(ctx context.Context, since uint64) (*Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	path := "/events"
	if since > 0 {
		path += "?since=" + strconv.FormatUint(since, 10)
	}
	// Only the beginning has a deadline.
	begun := time.AfterFunc(callTimeout, cancel)
	resp, err := c.send(ctx, http.MethodGet, path, nil)
	begun.Stop()
	if err != nil {
		defer cancel()
		return nil, c.explain(ctx, err)
	}
	return newStream(ctx, c, resp.Body, cancel), nil
}
