package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Session is one connection on which requests are sent when its user wants.
type Session struct {
	conn    *conn
	remote  string
	began   time.Time
	request int
}

// Dial opens a session with target. Its errors, and those of Request, are
// Failures; a SYN that had to be sent again is none here.
func Dial(ctx context.Context, target string, timeout time.Duration) (*Session, error) {
	remotes, err := resolve(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", target, err)
	}
	s := &Session{remote: remotes[0].String(), began: time.Now()}
	if s.conn, err = dial(remotes[0], 0, timeout); err != nil {
		return nil, s.failure(Connect, err)
	}
	return s, nil
}

// Local returns the address of the session's own end.
func (s *Session) Local() string { return s.conn.LocalAddr().String() }

// Request sends one request and returns the version that answered. With the
// last one, the server closes the connection.
func (s *Session) Request(last bool) (string, error) {
	s.request++
	if err := s.conn.exchange("/version", last, checkVersion); err != nil {
		return "", s.failure(s.conn.phase, s.conn.cause(err))
	}
	return s.conn.version, nil
}

// Close closes the connection.
func (s *Session) Close() error { return s.conn.Close() }

// Error makes a Failure an error.
func (f Failure) Error() string { return f.String() }

func (s *Session) failure(phase Phase, err error) error {
	f := Failure{
		Time: time.Now().UnixNano(), Began: s.began.UnixNano(), Kind: KeepAlive,
		Class: classify(phase, err), Phase: phase, Remote: s.remote, Request: s.request,
	}
	if errors.Is(err, errOwnReset) {
		f.Class = OwnReset
	}
	if s.conn != nil {
		f.Connected = s.conn.connected.UnixNano()
		f.Local, f.Version = s.Local(), s.conn.version
	}
	f.Message = err.Error()
	return f
}
